"""Make and run the notebooks: `python notebooks/build.py` for all, `python notebooks/build.py 01 03` for some.

Each has one source, `NN_name.py` (py:percent, read by jupytext), which becomes `NN_name.ipynb` with the outputs of a
run in a fresh kernel. Made again, it is the same but for times. CONVENTIONS.md says how a source is written.
"""

import hashlib
import os
import re
import sys
import time
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

FOLDER = Path(__file__).parent
SOURCES = sorted(FOLDER.glob("[0-9][0-9]_*.py"))
SECONDS = 60  # of the processor's time, that a notebook may take

# Of the kernel. The models are tiny: more threads would only wait for each other.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
}
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"file_extension": ".py", "mimetype": "text/x-python", "name": "python"},
}


def read(source: Path) -> NotebookNode:
    """The notebook of a source, not yet run. The same text gives the same notebook."""
    notebook = jupytext.read(source, fmt="py:percent")
    notebook.metadata = nbformat.from_dict(METADATA)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    ids = set()
    for cell in notebook.cells:
        cell.id = hashlib.sha256(cell.source.encode()).hexdigest()[:8]
        while cell.id in ids:  # the same text for the second time
            cell.id += "x"
        ids.add(cell.id)
    fold(notebook.cells)
    return notebook


def fold(cells: list[NotebookNode]) -> None:
    """Fold what the reader should not see yet: the imports, and what comes out of the code after a `**Predict.**`."""
    predicting = False
    for cell in cells:
        if cell.cell_type == "markdown":
            predicting = "**Predict.**" in cell.source or (
                predicting and not re.search(r"^#|\*\*Answer\.\*\*", cell.source)
            )
        elif cell.source.startswith("import sys"):
            cell.metadata["jupyter"] = {"source_hidden": True}
        elif predicting:
            cell.metadata["jupyter"] = {"outputs_hidden": True}


def execute(notebook: NotebookNode) -> NotebookNode:
    """Run all cells in a fresh kernel, in place. Raises CellExecutionError at the first that fails."""
    before = dict(os.environ)
    os.environ.update(ENVIRONMENT)
    try:
        NotebookClient(
            notebook,
            timeout=5
            * SECONDS,  # of a cell by the clock: compiling on a busy machine takes a while
            kernel_name="python3",
            record_timing=False,
            extra_arguments=[
                "--IPKernelApp.log_level=ERROR"
            ],  # it would warn that the loopback is not encrypted
            resources={"metadata": {"path": str(FOLDER)}},
        ).execute()
    finally:
        os.environ.clear()
        os.environ.update(before)
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = joined(cell.outputs)
    return notebook


def joined(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """A stream may come in pieces, and another time in other pieces: one output for all that follow each other."""
    whole = []
    for output in outputs:
        if whole and output.output_type == "stream" and whole[-1].get("name") == output.name:
            whole[-1].text += output.text
        else:
            whole.append(output)
    return whole


def main(names: list[str]) -> None:
    for source in SOURCES:
        if not names or any(source.name.startswith(name) for name in names):
            begin = time.perf_counter()
            notebook = execute(read(source))
            target = source.with_suffix(".ipynb")
            target.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8", newline="\n")
            print(
                f"{target.name}: {time.perf_counter() - begin:.0f} s, {target.stat().st_size / 1000:.0f} kB"
            )


if __name__ == "__main__":
    main(sys.argv[1:])
