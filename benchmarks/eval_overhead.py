"""What the harness costs: `neuralcodec eval` of JPEG on Kodak over a bare Pillow loop, as whole commands.

    NEURALCODEC_DATA=... python benchmarks/eval_overhead.py [rounds]

Both do the same 192 encodes, decodes and PSNRs (24 images, 8 qualities) in one process, start-up included. The harness
also identifies every image by its samples, takes times and peak memory, and writes the record; the report is left out.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from common import in_turns, ratio, write_result

from neuralcodec.evaluation.specs import find_subject

BARE = """
import io, sys
from pathlib import Path
import numpy as np
from PIL import Image
folder, *qualities = sys.argv[1:]
total = 0
for path in sorted(Path(folder).glob("*.png")):
    image = Image.open(path).convert("RGB")
    original = np.asarray(image)
    for quality in qualities:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=int(quality))
        decoded = np.asarray(Image.open(io.BytesIO(file.getvalue())))
        mse = ((original.astype(float) - decoded) ** 2).mean()
        total += 10 * np.log10(255**2 / mse)
print(total)
"""


def main(rounds: int = 5) -> None:
    """Run both in turns."""
    qualities = [f"{quality:g}" for quality in find_subject("jpeg").codec.quality.points]
    told = subprocess.run(
        ["neuralcodec", "data", "path", "kodak"], check=True, capture_output=True, text=True
    )
    bare = [sys.executable, "-c", BARE, told.stdout.strip(), *qualities]
    command = ["neuralcodec", "eval", "--data", "kodak", "--codec", f"jpeg@{','.join(qualities)}"]

    def harness() -> None:
        with tempfile.TemporaryDirectory() as folder:
            rest = ["--metric", "psnr-rgb", "--no-report", "-o", str(Path(folder) / "run")]
            subprocess.run([*command, *rest], check=True, stdout=subprocess.DEVNULL)

    def loop() -> None:
        subprocess.run(bare, check=True, stdout=subprocess.DEVNULL)

    seconds = in_turns({"loop": loop, "eval": harness}, rounds)
    write_result(__file__, {"eval_over_loop": ratio(seconds, "eval", "loop"), "seconds": seconds})


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
