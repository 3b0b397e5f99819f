"""The code of a registered model, which MLflow copies and runs where it serves; imports no gfmp.

The exported folder beside it brings its own network, so that serving needs torch, safetensors and
tokenizers only.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext

FOLDER, SEQUENCE = "folder", "sequence"
_NETWORK = "gfmp_network"


class ServedModel(PythonModel):
    """Answers sequences with predictions, or with embeddings where nothing was fine-tuned."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the exported folder."""
        folder = Path(context.artifacts[FOLDER])
        self.model: Any = _network(folder).load(folder)

    def predict(
        self,
        context: PythonModelContext,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Return one row for each sequence; columns as the signature names them."""
        sequences = model_input[SEQUENCE].tolist()
        config = self.model.config
        if config["head"] == "rows":
            said = self.model.predict(sequences)
            return pd.DataFrame(said.numpy(), columns=config["target_names"])
        states = self.model.embed(sequences)
        return pd.DataFrame(states.numpy(), columns=[f"d{i}" for i in range(states.shape[1])])


def _network(folder: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(_NETWORK, folder / f"{_NETWORK}.py")
    assert spec is not None and spec.loader is not None, "an exported folder brings its network"
    module = importlib.util.module_from_spec(spec)
    sys.modules[_NETWORK] = module
    spec.loader.exec_module(module)
    return module


set_model(ServedModel())
