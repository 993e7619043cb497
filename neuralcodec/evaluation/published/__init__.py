"""Rate-distortion curves that others published, with their sources: to be drawn beside measured ones, never among them.

One JSON file a data set. Learned codecs' PSNRs are those of output rounded to 8 bits, where the source has them.
"""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from neuralcodec.evaluation.results import Result


def data_sets() -> list[str]:
    """Return the data sets with published curves.

    >>> data_sets()
    ['cifar10', 'kodak']
    """
    names = (file.name for file in files(__package__).iterdir())
    return sorted(name.removesuffix(".json") for name in names if name.endswith(".json"))


def published_curves(data: str) -> list[Result]:
    """Return the published curves of a data set; none if there are none.

    Parameters
    ----------
    data
        Name of the data set, such as "kodak" or "cifar10".

    Returns
    -------
    list of Result
        With bpp and psnr-rgb, some with ms-ssim-rgb. Their meta has "published" (the source), "bpp_counts" (which
        bits the rate counts) and "data".

    Examples
    --------
    >>> [curve.name for curve in published_curves("kodak")][:4]
    ['JPEG', 'WebP', 'JPEG 2000', 'BPG']
    """
    if data not in data_sets():
        return []
    value = _file(data)
    about = {"data": {"name": data}, "note": value["note"]}
    return [
        Result(
            curve["name"],
            curve["description"],
            about | {"published": curve["source"], "bpp_counts": curve["bpp_counts"]},
            published=curve["results"],
        )
        for curve in value["curves"]
    ]


@cache
def _file(data: str) -> Mapping[str, Any]:
    value: dict[str, Any] = json.loads((files(__package__) / f"{data}.json").read_text("utf-8"))
    return value
