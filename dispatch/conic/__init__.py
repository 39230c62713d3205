"""Mixed-integer second-order cone programs by outer approximation, on the compiled matrices of a Pyomo model."""
