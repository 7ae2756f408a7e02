"""Write optim.json: what torch's optimisers and schedules do in the cases of optim_oracle.py.

    python -m pip install torch
    python tests/python/references/make_optim.py

Run again after a case has changed; the tests read the file, so that they need no torch.
"""

import json
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import optim_oracle


def main() -> None:
    """Ask torch, and write the numbers in full, with the version that gave them."""
    answers = {
        "torch": torch.__version__,
        "optimisers": {
            name: optim_oracle.torch_walk(torch, case)
            for name, case in optim_oracle.OPTIMISERS.items()
        },
        "schedules": {
            name: optim_oracle.torch_rates(torch, case)
            for name, case in optim_oracle.SCHEDULES.items()
        },
    }
    text = json.dumps(answers).replace("]],", "]],\n") + "\n"
    optim_oracle.STORED.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
