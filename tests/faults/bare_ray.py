"""A Ray Train job as its documentation shows it: goes on from the checkpoint it is given.

python bare_ray.py FOLDER
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import ray
import ray.train
from ray.train import Checkpoint, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer


def loop(config: dict[str, str]) -> None:
    """Take three steps, reporting a checkpoint after each; write down where it began."""
    start = 0
    given = ray.train.get_checkpoint()
    if given is not None:
        with given.as_directory() as folder:
            start = int((Path(folder) / "step").read_text())
    with Path(config["told"]).open("a") as told:
        told.write(f"{start}\n")
    for step in range(start + 1, start + 4):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "step").write_text(str(step))
            ray.train.report({"step": step}, checkpoint=Checkpoint.from_directory(folder))


def main() -> None:
    """Run or go on with the job in the folder of the command line."""
    folder = Path(sys.argv[1])
    # Paths of sockets are short, folders of tests are not.
    place = tempfile.mkdtemp(prefix="bare-ray-")
    ray.init(num_cpus=2, include_dashboard=False, configure_logging=False, _temp_dir=place)
    TorchTrainer(
        loop,
        train_loop_config={"told": str(folder / "told.txt")},
        scaling_config=ScalingConfig(num_workers=1),
        run_config=RunConfig(name="bare", storage_path=str(folder / "storage")),
    ).fit()
    ray.shutdown()
    shutil.rmtree(place)


if __name__ == "__main__":
    main()
