"""Ray Train's trainer, without the helpers that a run of gfmp has no use for.

Each of them is a process of its own, which imports for a second or two of CPU while the ranks
start, and wakes up many times a second beside them for as long as they train (ray 2.60):

* a manager of Ray Data datasets, of which Ray Train is given none;
* on one machine, a cleaner of placement groups that outlive their controller (`free_placements`
  is called instead), and a coordinator that asks an autoscaler for nodes: there are none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ray._raylet import PlacementGroupID
from ray.train.v2._internal.callbacks.datasets import DatasetsCallback
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2._internal.execution.scaling_policy import FixedScalingPolicy
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer
from ray.util.placement_group import (
    PlacementGroup,
    placement_group_table,
    remove_placement_group,
)

from gfmp.cluster.session import cluster_address

if TYPE_CHECKING:
    from ray.train.v2._internal.execution.callback import RayTrainCallback
    from ray.train.v2._internal.execution.context import TrainRunContext
    from ray.train.v2.api.result import Result


def free_placements() -> None:
    """Give back what killed controllers held, so that the next worker group has room.

    A controller that is killed, for memory say, leaves its placement group, and the group after
    the next would wait for its cores for ever. On one machine all groups are ours; on a cluster
    Ray Train's cleaner runs.
    """
    if cluster_address():
        return
    for name, group in placement_group_table().items():
        if group["state"] != "REMOVED":
            remove_placement_group(PlacementGroup(PlacementGroupID.from_hex(name)))


class LeanTrainer(DataParallelTrainer):
    """Runs one worker group of fixed size on the session there is."""

    def _create_default_callbacks(self) -> list[RayTrainCallback]:
        unused: tuple[type, ...] = (DatasetsCallback,)
        if not cluster_address():
            unused += (PlacementGroupCleanerCallback,)
        return [c for c in super()._create_default_callbacks() if not isinstance(c, unused)]

    def _initialize_and_run_controller(self, **settings: Any) -> Result:  # noqa: ANN401 - Ray's own
        if not cluster_address():
            settings["scaling_policy"] = OneMachine(self.scaling_config)
        return super()._initialize_and_run_controller(**settings)


class OneMachine(FixedScalingPolicy):
    """A fixed number of workers on a machine that nobody adds nodes to."""

    def after_controller_start(self, train_run_context: TrainRunContext) -> None:
        """Ask nobody for nodes."""

    def _maybe_send_resource_request(self) -> None:
        """Ask nobody for nodes."""
