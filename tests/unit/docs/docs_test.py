#!/usr/bin/python3
"""Holds the documents against the tree: links lead somewhere, files and tests that are named exist, rooms have a README."""
import pathlib
import re
import sys
import unittest

ROOT = pathlib.Path(sys.argv.pop(1)).resolve()
BUILT = {"build", ".quickstart", ".git"}


def documents():
    for page in sorted(ROOT.rglob("*.md")):
        if not BUILT & set(page.relative_to(ROOT).parts):
            yield page


def sources():
    for pattern in ("*.cc", "*.h", "*.sql", "*.py"):
        for file in sorted(ROOT.rglob(pattern)):
            if not BUILT & set(file.relative_to(ROOT).parts) and file != pathlib.Path(__file__).resolve():
                yield file


def anchors(page: pathlib.Path):
    for heading in re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


class Documents(unittest.TestCase):
    def test_every_link_leads_somewhere(self):
        for page in documents():
            for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
                if re.match(r"[a-z]+:", target):
                    continue
                path, _, anchor = target.partition("#")
                file = (page.parent / path).resolve() if path else page
                with self.subTest(page=str(page.relative_to(ROOT)), link=target):
                    self.assertTrue(file.exists())
                    if anchor:
                        self.assertIn(anchor, list(anchors(file)))

    def test_every_file_that_the_architecture_names_exists(self):
        text = (ROOT / "ARCHITECTURE.md").read_text()
        named = re.findall(r"`([a-z0-9_]+/[A-Za-z0-9_./-]+)`", text)
        self.assertGreater(len(named), 20)
        for path in named:
            with self.subTest(path=path):
                self.assertTrue((ROOT / path).exists())

    def test_every_test_that_the_reliability_page_names_exists(self):
        sources = "\n".join(file.read_text() for file in sorted((ROOT / "tests").rglob("*_test.cc")))
        known = {f"{suite}.{name}" for suite, name in re.findall(r"TEST(?:_F|_P)?\((\w+),\s*(\w+)\)", sources)}
        for page in ("docs/reliability.md", "docs/reliability.zh-CN.md"):
            named = re.findall(r"`(\w+Test\.\w+)`", (ROOT / page).read_text())
            self.assertGreater(len(named), 10)
            for test in named:
                with self.subTest(page=page, test=test):
                    self.assertIn(test, known)

    def test_every_document_that_a_source_names_exists(self):
        for file in sources():
            for name in re.findall(r"[\w./-]+\.md\b", file.read_text(errors="replace")):
                with self.subTest(file=str(file.relative_to(ROOT)), names=name):
                    self.assertTrue(any((folder / name).exists() for folder in (ROOT, ROOT / "docs", file.parent)))

    def test_every_room_has_a_readme(self):
        rooms = [ROOT / name for name in ("app", "cmake", "consumer", "docs", "metrics", "model", "outbox", "platform", "providers", "tests")]
        for parent in ("docs", "platform", "tests", "tests/support"):
            rooms += [folder for folder in (ROOT / parent).iterdir() if folder.is_dir() and not folder.name.startswith(("_", "."))]
        for room in rooms:
            with self.subTest(room=str(room.relative_to(ROOT))):
                self.assertTrue((room / "README.md").exists())

    def test_the_reliability_pages_list_the_rows_that_are_tried(self):
        source = (ROOT / "tests/fault/runner/row_faults.cc").read_text()
        tried = sorted(int(number) for number in re.findall(r"\{(\d+), \"", source))
        self.assertGreater(len(tried), 10)
        for page in ("docs/reliability.md", "docs/reliability.zh-CN.md"):
            with self.subTest(page=page):
                rows = re.findall(r"^\| (\d[\d, 、]*) \|", (ROOT / page).read_text(), re.MULTILINE)
                self.assertEqual(sorted(int(number) for row in rows for number in re.findall(r"\d+", row)), tried)

    def test_both_languages_have_the_same_sections(self):
        for page in documents():
            if not page.name.endswith(".zh-CN.md"):
                continue
            other = page.with_name(page.name.replace(".zh-CN.md", ".md"))
            with self.subTest(page=str(page.relative_to(ROOT))):
                shape = [re.findall(r"^(#+) ", one.read_text(), re.MULTILINE) for one in (page, other)]
                self.assertEqual(*shape)

    def test_no_document_has_a_gap(self):
        for page in documents():
            with self.subTest(page=str(page.relative_to(ROOT))):
                self.assertFalse("@@" in page.read_text())


if __name__ == "__main__":
    unittest.main()
