"""Time to encode and decode 10,000 MNIST images, as a multiple of `lzma.compress(preset=9)` on the same bytes.

NEURALCODEC_DATA=... python benchmarks/mnist_speed.py [rounds]
"""

import lzma
import sys

from common import in_turns, mnist, ratio, write_result

import neuralcodec


def main() -> None:
    """Run the jobs in turns and write the ratios."""
    images = mnist("test")
    raw = images.tobytes()
    figures: dict[str, object] = {}
    for model in ("pc-mnist-fast", "pc-mnist"):
        archive = neuralcodec.compress_many(images, model)
        jobs = {
            "lzma": lambda: lzma.compress(raw, preset=9),
            "encode": lambda model=model: neuralcodec.compress_many(images, model),
            "decode": lambda archive=archive: neuralcodec.decompress_many(archive),
        }
        for job in jobs.values():
            job()  # what is used for the first time is not timed
        seconds = in_turns(jobs, int(sys.argv[1]) if len(sys.argv) > 1 else 5)
        figures[model] = {
            "encode_over_lzma": ratio(seconds, "encode", "lzma"),
            "decode_over_lzma": ratio(seconds, "decode", "lzma"),
            "seconds": seconds,
        }
    write_result(__file__, figures)


if __name__ == "__main__":
    main()
