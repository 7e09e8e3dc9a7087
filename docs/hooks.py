"""Pages that mkdocs makes from the code: every configuration group, and the API by room."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from egsde.programs.settings import CONF, PACKAGE, groups_of, head, options, purposes, told

PROGRAMS = ("train", "sample", "evaluate", "likelihood")
HIDDEN = ("demo", "conf")  # folders of the package without code


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """The pages of the API, after those that the file lists."""
    pages = [{name: f"api/{name}.md"} for name in ("egsde", *rooms())]
    config.nav = [*(config.nav or []), {"API": pages}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """One page for what `import egsde` gives and one for each room."""
    files.append(File.generated(config, "api/egsde.md", content="\n".join(face())))
    for name in rooms():
        content = "\n".join(room(name))
        files.append(File.generated(config, f"api/{name}.md", content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The groups' tables in place of their mark; links out of docs lead to the files' names."""
    if "<!-- groups -->" in markdown:
        markdown = markdown.replace("<!-- groups -->", "\n".join(configuration()))
    if "<!-- cards -->" in markdown:
        markdown = markdown.replace("<!-- cards -->", "\n".join(cards()))
    return markdown


def cards() -> Iterator[str]:
    """The published networks."""
    from egsde.programs.cards import CARDS

    yield "| name | file | opened by | page | licence | sha256 |\n|---|---|---|---|---|---|"
    for card in CARDS.values():
        opened = " ".join(f"`{key}={value}`" for key, value in card.configuration.items())
        known = f"`{card.sha256}`" if card.sha256 else "not published"
        yield (
            f"| `{card.name}` | `{card.file}` | {opened} | [{card.url}]({card.url}) "
            f"| {card.licence} | {known} |"
        )


def configuration() -> Iterator[str]:
    """A heading, the purpose and a table of options and settings for every group."""
    takers = {program: set(groups_of(program)) for program in PROGRAMS}
    for group, purpose in purposes().items():
        programs = [name for name in PROGRAMS if group in takers[name]]
        said = f"{purpose[0].upper()}{purpose[1:]}. Taken by {', '.join(programs)}."
        yield f"\n## {group}\n\n{said}\n"
        yield "| option | setting | default | meaning |\n|---|---|---|---|"
        for place in [CONF / group, *sorted(CONF.glob(f"programs/*/{group}"))]:
            names = options(group) if place == CONF / group else None
            for file in sorted(place.glob("*.yaml")):
                if names is None or file.stem in names:
                    yield from rows(file)


def rows(file: Path) -> Iterator[str]:
    """An option's row, and one for each of its settings that has a comment."""
    yield f"| `{file.stem}` | | | {cell(head(file))} |"
    for setting in told(file):
        value = f"`{setting.value}`" if setting.value else ""
        yield f"| | `{setting.key}` | {cell(value)} | {cell(setting.told)} |"


def cell(text: str) -> str:
    """Comment lines as one cell of a table; commands in it as code."""
    text = re.sub(r"^ *(python \w+\.py.*?)(?:  +\(?(.*?)\)?)?$", r"`\1` \2", text, flags=re.M)
    return re.sub(r"\s*\n\s*", " ", text).replace("|", "\\|").strip()


def rooms() -> list[str]:
    """The packages of egsde."""
    found = (path.parent.name for path in PACKAGE.glob("*/__init__.py"))
    return sorted(name for name in found if name not in HIDDEN)


def room(name: str) -> Iterator[str]:
    """A room's own words, then each of its files."""
    folder = PACKAGE / name
    yield f"# egsde.{name}\n"
    for file in sorted(folder.rglob("*.py")):
        if file.stem.startswith("__main"):
            continue
        parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        module = ".".join(parts)
        opened = module != f"egsde.{name}" and file.stem != "__init__"
        yield f"\n::: {module}\n    options:\n      members: {'null' if opened else '[]'}\n"


def face() -> Iterator[str]:
    """What `egsde.__all__` names, by where it lives."""
    import egsde

    yield "# import egsde\n"
    for name in egsde.__all__:
        home = egsde._HOMES[name]
        yield (
            f"- [`egsde.{name}`][egsde.{home}.{name}]" if home else f"- [`egsde.{name}`]({name}.md)"
        )
    yield "\n::: egsde.programs.load\n\n::: egsde.programs.cards\n"
