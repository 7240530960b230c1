"""The explorer: a page on which a mask is dragged over a picture and maps fill in while they run.

One process serves one model to several visitors. A visit holds one visitor's picture and runs; what is asked of the
model takes turns; the event loop computes nothing.
"""
