"""Runs over many images: a store on disk that goes on after any end, read as arrays or as a table."""

from eyeline.dataset.ray_pool import cluster
from eyeline.dataset.rows import ordered, save, select
from eyeline.dataset.running import Told, run
from eyeline.dataset.store import Store, open_store

__all__ = ["Store", "Told", "cluster", "open_store", "ordered", "run", "save", "select"]
