"""What the documents tell people to type: set-up, commands that compose, an example that runs."""

from __future__ import annotations

import re
import shlex

import pytest
import torch
from hydra import compose, initialize_config_dir
from PIL import Image

import egsde
from egsde.noise import Noise
from egsde.programs.cli import PROGRAMS
from egsde.programs.line import plain
from egsde.sde import DDPM
from egsde.source import Source
from folders import CONF

ROOT = CONF.parent
README = (ROOT / "README.md").read_text()
COMMAND = re.compile(rf"(?:python |egsde )({'|'.join(PROGRAMS)})(?:\.py)?((?: .*)?)")
# launching.md has commands that are refused, and a test of its own.
PAGES = sorted(path for path in (ROOT / "docs").glob("*.md") if path.stem != "launching")
ENGINES = {"optuna": "optuna_sweeper", "submitit": "submitit_launcher", "joblib": "joblib_launcher"}


def commands(text: str) -> list[tuple[str, tuple[str, ...]]]:
    """(program, overrides) of each command line; of a sweep, its first job."""
    found = []
    for match in COMMAND.finditer(re.sub(r"\\\n\s*", "", text)):
        line = re.split(r"\s{2,}|`|\)", match[2])[0]
        words = [plain(word) for word in shlex.split(line) if word != "-m"]
        if "-m" in line.split():
            words = [word.split(",")[0] for word in words]
        if not any(word.startswith("--") for word in words):
            task = "task=likelihood" in words
            found.append(("likelihood" if task else match[1], tuple(words)))
    return found


def told() -> list[tuple[str, tuple[str, ...]]]:
    """Those of the documents and of the comments in conf, each once; the extension's has a test."""
    documents = [
        README,
        (ROOT / "CONTRIBUTING.md").read_text(),
        *(path.read_text() for path in PAGES),
    ]
    for path in sorted(CONF.rglob("*.yaml")):
        lines = path.read_text().splitlines()
        documents.append("\n".join(line for line in lines if line.startswith("#")))
    every = dict.fromkeys(command for text in documents for command in commands(text))
    known = [c for c in every if not any("colour" in word for word in c[1])]
    return [(name, tuple(w for w in words if "=" in w)) for name, words in known]


FIRST = [(name, tuple(w for w in words if "=" in w)) for name, words in commands(README)]


@pytest.mark.parametrize(
    ("program", "overrides"),
    [c if c in FIRST else pytest.param(*c, marks=pytest.mark.slow) for c in told()],
    ids=lambda v: str(v)[:60],
)
def test_commands_compose(program, overrides):
    for name, plugin in ENGINES.items():
        if any(o.startswith(("hparams_search", "hydra/")) and name in o for o in overrides):
            pytest.importorskip(f"hydra_plugins.hydra_{plugin}")
    with initialize_config_dir(str(CONF), version_base="1.3"):
        compose(program, list(overrides), return_hydra_config=False)


def test_set_up_is_two_commands():
    lines = [line for line in README.splitlines() if line.startswith("pip install")]
    assert lines == [
        "pip install -c constraints.txt -e . && python sample.py",
        'pip install -c constraints.txt -e ".[test]" && pytest',
    ]


def test_the_readme_is_read_in_one_go():
    assert len(README.split()) < 1000


def test_ten_lines_of_python_translate_a_picture(tmp_path, monkeypatch):
    code = re.search(r"```python\n(import egsde\n.*?)```", README, re.DOTALL)
    assert code and len(code[1].splitlines()) <= 10
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (50, 40), "orange").save("photo.png")
    load = egsde.load  # fewer steps than the demonstration's, which are those of its networks
    monkeypatch.setattr(egsde, "load", lambda *given: load(*given, "sampler.grid.steps=20"))
    exec(code[1], {})
    size = Image.open("out.png").size
    assert size == Image.open("bolder.png").size and size[0] == size[1] >= 32


def test_files_named_in_the_readme_exist():
    named = re.findall(r"`((?:notebooks|conf|docs|benchmarks)/[\w./]+|[A-Z]+(?:\.md)?)`", README)
    missing = [name for name in named if name.isupper() or "/" in name or name.endswith(".md")]
    assert named and not [name for name in missing if not (ROOT / name).exists()]


def test_extension_example_runs():
    """Its energy is what it says; `test_outside` runs the whole command."""
    code = re.search(r"```python\n# my_parts/colour.py\n(.*?)```", README, re.DOTALL)
    assert code
    scope: dict[str, type] = {}
    exec(code[1], scope)
    energy = scope["Colour"]()
    x0 = torch.zeros(2, 3, 4, 4)
    y = x0 + torch.tensor([1.0, 2.0])[:, None, None, None]
    source = Source(x0, DDPM(), Noise(0, ["a", "b"]), "expectation")
    t = torch.tensor(0.5, dtype=torch.float64)
    assert torch.allclose(energy(y, t, source), torch.tensor([3.0, 12.0]))
    assert torch.allclose(energy.grad(y, t, source), y / 8)


def measured() -> list[tuple[str, str]]:
    """(program, arguments) of each benchmark that the documents tell people to run."""
    paths = [ROOT / "README.md", ROOT / "benchmarks/README.md", *PAGES]
    text = re.sub(r"\\?\n\s*", " ", "\n".join(path.read_text() for path in paths))
    return re.findall(r"python benchmarks/(\w+)\.py((?: [^`\n]*?)?)(?=`| python|$)", text)


@pytest.mark.parametrize(("program", "arguments"), measured(), ids=lambda v: str(v)[:60])
def test_benchmarks_have_the_flags_that_are_told(program, arguments):
    source = (ROOT / "benchmarks" / f"{program}.py").read_text()
    given = set(re.findall(r"(?<= )--\w[\w-]*", arguments))
    known = set(re.findall(r'add_argument\(\s*"(--[\w-]+)"', source))
    required = set(re.findall(r'add_argument\(\s*"(--[\w-]+)"[^\n]*required=True', source))
    assert required <= given <= known


def test_the_site_has_a_place_for_every_page():
    """Each page is in the menu once; code that a page shows is named as a formatter leaves it."""
    menu = re.findall(r"^  - [^{\n]+: (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert sorted(menu) == sorted(path.name for path in (ROOT / "docs").glob("*.md"))
    shown = []
    for path in (ROOT / "docs").glob("*.md"):
        text = path.read_text()
        found = re.findall(r"^--8<--\n(.+)\n--8<--$", text, re.MULTILINE)
        assert len(re.findall("--8", text)) == 2 * len(found), path
        shown += found
    assert {f"tests/outside/parts_{part}.py" for part in ("energies", "process", "around")} <= set(
        shown
    )
    assert all((ROOT / name).is_file() for name in shown)


def compared() -> list[tuple[str, str, str]]:
    """(head, table, section) of each table of translations with a column or row of FID or KID."""
    found = []
    for text in (README, *(path.read_text() for path in PAGES)):
        for section in re.split(r"(?m)^#+ ", text):
            for table in re.findall(r"(?m)(?:^\|.*\n)+", section):
                head = table.splitlines()[0]
                if re.search(r"\| (FID|KID)(, two [^|]*)? \|", head) or "FID at L2" in table:
                    found.append((head, table, " ".join(section.split())))
    return found


@pytest.mark.parametrize(("head", "table", "section"), compared())
def test_a_table_of_translations_has_what_it_is_read_beside(head, table, section):
    """Doing nothing, `domain` and how sure the numbers are; what was not measured is said."""
    assert re.search(r"\| (do(ing)? nothing|the .*themselves)|, do nothing \|", table)
    assert "domain" in head or re.search(r"`domain`[^.;|]* not measured", section)
    assert re.search(r"±|\[\d|deviation|standard error|binomial", section, re.IGNORECASE)
