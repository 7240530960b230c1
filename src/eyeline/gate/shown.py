"""The maps of some rows of a store with their images, as what a method returns: to be drawn or checked."""

from collections.abc import Sequence

import numpy as np

from eyeline import target as targets
from eyeline.attribution import Attribution
from eyeline.dataset.items import Source
from eyeline.dataset.order import again
from eyeline.dataset.store import Store
from eyeline.errors import Error, InputError
from eyeline.image import Batch, collect

SEEN = "the images must be seen again"
"""How the sentence begins that says that they are not to be found."""


def attribution(store: Store, rows: Sequence[int], images: object = None) -> Attribution:
    """Return some rows of a store as one result, their images read again.

    Args:
        store: an open one.
        rows: that have maps.
        images: where the images are, if not where they were.

    Raises:
        InputError: an image that is gone, refused or no longer the one that was explained.
    """
    given, places = again(store, images, SEEN)
    batches = [_image(store, given, places, row) for row in rows]
    order, manifest = list(rows), store.manifest
    maps, scores, weights = (np.stack([store[name][row] for row in order]) for name in ("maps", "scores", "weights"))
    return Attribution(
        maps=maps,
        scores=scores,
        weights=weights,
        unit=manifest.unit,  # type: ignore[arg-type]
        quantity=manifest.quantity,
        method=manifest.method,
        targets=targets.describe(weights, manifest.classes),
        images=np.concatenate([batch.images for batch in batches]),
        names=tuple(store.items[row].name for row in order),
        fits=tuple(batch.fits[0] for batch in batches),
        classes=manifest.classes,
        provenance={"model": manifest.model, "engine": manifest.engine, "store": str(store.path)},
    )


def _image(store: Store, given: Source, places: dict[str, int], row: int) -> Batch:
    name, shape = store.items[row].name, store.manifest.image
    try:
        if name not in places:
            raise InputError(f"{name!r} is not there.")
        found, digest = given.read(places[name])
        if digest != store.digest(row):
            raise InputError(f"{name!r} has changed.")
        return collect(
            found,
            input_size=shape[:-1],
            axes=len(shape) - 1,
            channels=shape[-1],
            fit=store.manifest.fit,  # type: ignore[arg-type]
        )
    except Error as error:
        raise InputError(f"an image must be as it was when it was explained: {error} Pass images=.") from error
