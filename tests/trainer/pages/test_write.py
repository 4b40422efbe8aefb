"""The file: one, small, without a network, and with nothing of a completion's in its markup."""

import json
import re

from palaestra.trainer.pages.gather import gather
from palaestra.trainer.pages.write import SCRIPTS, embed, fill_template, hash_inline, read_asset, write_page

from ..support.run_folders import make_noise, make_run

HOSTILE = "</script><script>alert(1)</script><!-- @@DATA@@ ]]>"


def test_the_file_asks_for_nothing_and_holds_its_policy(tmp_path):
    path = tmp_path / "report.html"
    write_page(gather([make_run(tmp_path / "run")]), path)
    text = path.read_text()
    assert len(text) < 300_000
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", text)
    [policy] = re.findall(r'Content-Security-Policy" content="([^"]+)"', text)
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    [script] = re.findall(r"<script>(.*)</script>\n</body>", text, re.DOTALL)
    [style] = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    assert f"'{hash_inline(script)}'" in policy
    assert f"'{hash_inline(style)}'" in policy


def test_a_hostile_text_anywhere_is_no_markup(tmp_path):
    run = make_run(tmp_path / "run", texts=(HOSTILE,))
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**config, "task": {"name": HOSTILE}}))
    clean, path = make_run(tmp_path / "clean"), tmp_path / "report.html"
    counts = []
    for folder in (run, clean):
        write_page(gather([folder]), path)
        text = path.read_text()
        assert "alert(1)</script>" not in text
        counts.append((text.count("<script"), text.count("</script>"), text.count("<!--")))
    assert counts[0] == counts[1]


def test_embedded_json_reads_back():
    values = {"text": f"{HOSTILE} & \u2028 \ud800", "number": 1.5, "none": None}
    assert json.loads(embed(values)) == values
    assert not {*"<>&"} & {*embed(values)}


def test_a_budget_bounds_the_file(tmp_path):
    page = gather([make_run(tmp_path / "run", steps=400, texts=make_noise(3200))])
    path = tmp_path / "report.html"
    packed = write_page(page, path, 0.5)
    assert path.stat().st_size < 500_000
    assert len(packed.rows) < len(page.table)


def test_scripts_never_parse_markup():
    own = [read_asset(name) for name in SCRIPTS[1:]]
    for script in own:
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", script
        )


def test_a_page_from_a_server_holds_no_completions(tmp_path):
    head = gather([make_run(tmp_path / "run")]).to_head()
    text = fill_template(head, None, total=160, mode="serve")
    assert 'id="columns"' not in text
    assert "connect-src 'self'" in text
