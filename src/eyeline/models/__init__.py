"""Adapters: one file per framework, each the only one that imports it."""
