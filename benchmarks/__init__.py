"""Measurements that the repository keeps: each module is a command of its own."""
