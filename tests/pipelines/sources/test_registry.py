import subprocess
import sys

import pytest
from normalized import normalized

from pipelines.sources import PARSERS, registry
from schemas.custom_sources import BUILT_IN, SourcesFileError

CODE = """
from pipelines.sources.place import Place

class HelpDesk:
    def parse(self, event, lineage):
        if not event.data:
            return "nothing said"
        with lineage.item("", event.data, source="helpdesk", content_type="text/plain") as item:
            Place(item.channel("main")).tell(item, "source.said", event.data.decode())
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install a package that registers classes, as pip would."""

    def install(entry_points):
        metadata = tmp_path / "helpdesk_source-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: helpdesk-source\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(f"[parley.sources]\n{entry_points}\n")
        (tmp_path / "helpdesk_source.py").write_text(CODE)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "helpdesk_source", raising=False)

    return install


@pytest.fixture
def parsers():
    before = dict(PARSERS)
    yield PARSERS
    PARSERS.clear()
    PARSERS.update(before)


def test_class_of_an_installed_package_reads_its_source(installed, parsers):
    installed("helpdesk = helpdesk_source:HelpDesk")
    registry.install("")
    assert normalized("helpdesk", b"hello").facts() == {"source.said": "hello"}
    assert normalized("helpdesk", b"").events.reason == "nothing said"


def test_class_may_have_a_table_for_its_scheme(installed):
    installed("helpdesk = helpdesk_source:HelpDesk")
    assert "helpdesk" in registry.parsers("[helpdesk]\nscheme = 'bearer'")


@pytest.mark.parametrize(
    ("entry_points", "text", "problem"),
    [
        ("helpdesk = helpdesk_source:Missing", "", "source helpdesk of helpdesk_source:Missing: AttributeError"),
        ("facebook = helpdesk_source:HelpDesk", "", "is the name of a built-in source"),
        (
            "helpdesk = helpdesk_source:HelpDesk",
            "[helpdesk.mapping]\n[[helpdesk.mapping.message]]\ncontact = 'item.c'",
            "line 1: helpdesk.mapping: helpdesk_source:HelpDesk reads this source",
        ),
    ],
)
def test_code_that_cannot_be_used_is_told_at_start(installed, entry_points, text, problem):
    installed(entry_points)
    with pytest.raises(SourcesFileError) as caught:
        registry.parsers(text)
    assert problem in str(caught.value)


def test_source_without_a_mapping_posts_parleys_json(parsers):
    registry.install("[shop]")
    body = b'{"messages":[{"source_sender_id":"a","from_contact":true,"content":"x"}]}'
    assert normalized("shop", body).messages.source == "shop"


def test_names_of_all_parsers_are_reserved():
    # Asked of a process of its own: in this one, tests may have installed sources.
    code = "from pipelines.sources import PARSERS; print(*PARSERS)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "facebook" in told.stdout.split()
    assert set(told.stdout.split()) <= BUILT_IN
