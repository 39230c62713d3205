"""The stations of the road, one short module each: night, sources, fetch, predict, plan."""
