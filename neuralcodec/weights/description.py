"""What a weights file says of itself, tensor by tensor."""

from typing import Any

from neuralcodec.weights.layout import ORIGINS
from neuralcodec.weights.reader import WeightsReader

CODED = ("bytes", "planes", "integers", "floats", "levels")
EXACT = 255


def describe(reader: WeightsReader) -> dict[str, Any]:
    """Return what is known of a weights file as a JSON object.

    Where several tensors share a record they are decoded, so that each one's bytes can be told.
    """
    index = reader.index
    tensors = []
    for number, record in enumerate(index.records):
        specs, models = reader.specs_of(record), reader.models(number)
        taken = [float(record.size)] if len(specs) == 1 else [bits / 8 for _, bits in reader.record(number)]
        for spec, model, used in zip(specs, models, taken, strict=True):
            lossy = CODED[model["kind"]] == "levels"
            tensors.append(
                {
                    "name": spec.name,
                    "shape": list(spec.shape),
                    "dtype": spec.type.name,
                    "bytes": round(used, 1),
                    "bits_per_element": round(8 * used / spec.count, 3) if spec.count else None,
                    "coded": _coding(model),
                    "sqnr": model["error"] / 2 if lossy and model["error"] != EXACT else None,
                }
            )
    parameters = sum(spec.count for spec in index.specs)
    lossy = index.step > 0
    return {
        "kind": "weights",
        "from": ORIGINS[index.origin],
        "size": reader.size,
        "original_size": sum(spec.nbytes for spec in index.specs),
        "parameters": parameters,
        "bits_per_parameter": round(8 * reader.size / parameters, 5) if parameters else None,
        "records": len(index.records),
        "lossless": not lossy,
        "step": index.step if lossy else None,
        "sqnr": round(index.sqnr, 3) if lossy and index.sqnr < 1e4 else None,
        "vector_bound": index.bound if lossy else None,
        "metadata": None if index.metadata is None else dict(index.metadata),
        "tensors": tensors,
    }


def _coding(model: dict[str, Any]) -> str:
    name = CODED[model["kind"]]
    return f"{name}/{1 << model['trellis']}" if name == "levels" and model["trellis"] else name
