#!/usr/bin/env python3
"""Refuses what goes against the arrows between the folders (ARCHITECTURE.md), in #include lines and in CMake's links.

First the rules are tried on a small project with planted violations, then on this one. Long files are warned about only.
"""
import pathlib
import re
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]

# What a room may use beside itself.
ARROWS = {
    "model": set(),
    "metrics": {"model"},
    "platform": {"model", "metrics"},
    "outbox": {"model", "metrics", "platform"},
    "providers": {"model", "metrics", "platform"},
    "consumer": {"model", "metrics", "platform", "providers"},
    "app": {"model", "metrics", "platform", "outbox", "providers", "consumer"},
}
ROOMS = set(ARROWS) | {"tests"}
# Stays inside a folder, so that its headers cost their readers nothing and a library can be replaced in one place.
HIDDEN_LIBRARIES = re.compile(r"(boost|prometheus|librdkafka|curl|yaml-cpp|mysql|mariadb|openssl|CLI|spdlog|rapidjson)/|nlohmann/|mysql\.h$")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]', re.MULTILINE)
SLEEP = re.compile(r"\b(sleep_for|sleep_until|usleep|nanosleep)\b|\btime\.sleep\(")
MAY_SLEEP = {
    "tests/support/process/wait_until.cc",  # the one place that pauses between two looks; a test waits through it
    "tests/support/faketime/test/program/main.cc",  # no test: the program whose sleeping is what is looked at
    "tests/fault/runner/row_faults.cc",  # a fault lasts as long as it is meant to
}
LONGEST = {".cc": 500, ".h": 200}
COMMAND = re.compile(r"^\s*(\w+)\s*\(((?:[^()]|\([^()]*\))*)\)", re.MULTILINE)


def uses_allowed(place):
    """The rooms that a file may include, by its path."""
    room = place.split("/")[0]
    if place.startswith("tests/support/fake_im/"):
        return {"model"}
    return ROOMS if room == "tests" else ARROWS[room]


def sources(root):
    for room in sorted(ROOMS):
        for path in sorted((root / room).rglob("*")):
            if path.is_file():
                yield path, path.relative_to(root).as_posix()


def include_faults(root, path, place):
    text = path.read_text(encoding="utf-8")
    room = place.split("/")[0]
    if path.suffix == ".h" and not re.search(r"^#pragma once$", text, re.MULTILINE):
        yield f"{place}: has no #pragma once"
    for bracket, target in INCLUDE.findall(text):
        first = target.split("/")[0]
        if bracket == "<":
            if first in ROOMS and "/" in target:
                yield f"{place}: includes <{target}>; what is ours is included with quotes"
        elif target.endswith(".embedded.h") and "/" not in target:
            continue
        elif first not in ROOMS:
            yield f"{place}: includes \"{target}\", which doesn't begin with a folder of the project"
        elif target.startswith("tests/support/fake_im/") and place.startswith("tests/support/fake_im/"):
            continue
        elif first != room and first not in uses_allowed(place) or place.startswith("tests/support/fake_im/") and first == "tests":
            yield f"{place}: includes \"{target}\"; {room}/ may use {', '.join(sorted(uses_allowed(place))) or 'nothing of ours'}"


def folder_of(place):
    """What counts as inside: a room, or one target of platform/."""
    parts = place.split("/")
    return "/".join(parts[:2]) if parts[0] == "platform" else parts[0]


def hidden_library_faults(root):
    """Headers that show a library, by themselves or through another, to product code outside their folder."""
    includes = {place: INCLUDE.findall(path.read_text(encoding="utf-8"))
                for path, place in sources(root) if path.suffix in {".h", ".cc"} and not place.startswith("tests/")}
    shown = {place: target for place, found in includes.items() if place.endswith(".h")
             for bracket, target in found if bracket == "<" and HIDDEN_LIBRARIES.match(target)}
    growing = True
    while growing:
        growing = False
        for place, found in includes.items():
            for _, target in found:
                if place.endswith(".h") and target in shown and place not in shown:
                    shown[place] = shown[target]
                    growing = True
    for place, found in includes.items():
        for _, target in found:
            if target in shown and folder_of(target) != folder_of(place):
                yield f"{place}: includes \"{target}\", which shows <{shown[target]}> outside {folder_of(target)}/"


def sleep_faults(path, place):
    if not place.startswith("tests/") or place in MAY_SLEEP or path.suffix not in {".cc", ".h"}:
        return
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if SLEEP.search(line):
            yield f"{place}:{number}: sleeps; wait for a signal, a fake clock or WaitUntil instead"


class Library:
    """A target of ours that stands for a folder: what it links, and what its users see of that."""

    def __init__(self, place):
        self.place = place
        self.public = set()
        self.private = set()


def read_links(libraries, name, words):
    scope = "PUBLIC"
    for word in words:
        if word in {"PUBLIC", "PRIVATE", "INTERFACE"}:
            scope = word
        elif word.startswith("outrider_"):
            (libraries[name].private if scope == "PRIVATE" else libraries[name].public).add(word)


def read_cmake(root):
    """The libraries by name. Executables and tests are left out: they are ends that nobody includes."""
    libraries = {}
    for path, place in sources(root):
        if path.name != "CMakeLists.txt":
            continue
        text = re.sub(r"#.*", "", path.read_text(encoding="utf-8"))
        for command, arguments in COMMAND.findall(text):
            words = arguments.split()
            if command == "outrider_library":
                name = "outrider_" + words[0]
                libraries[name] = Library(place.rpartition("/")[0])
                read_links(libraries, name, words[1:])
            elif command == "add_library" and words[0].startswith("outrider_"):
                libraries[words[0]] = Library(place.rpartition("/")[0])
            elif command == "target_link_libraries" and words[0] in libraries:
                read_links(libraries, words[0], words[1:])
    return libraries


def reach(libraries, names):
    """These and all that they hand on."""
    found = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found or name not in libraries:
            continue
        found.add(name)
        waiting.extend(libraries[name].public)
    return found


def link_faults(root):
    libraries = read_cmake(root)
    by_folder = {library.place: name for name, library in libraries.items()}
    for name, library in sorted(libraries.items()):
        room = library.place.split("/")[0]
        for used in sorted(library.public | library.private):
            if used not in libraries:
                yield f"{library.place}/CMakeLists.txt: {name} links {used}, which doesn't exist"
                continue
            other = libraries[used].place.split("/")[0]
            if other != room and other not in uses_allowed(library.place + "/"):
                yield f"{library.place}/CMakeLists.txt: {name} links {used} against the arrows"
        public = {libraries[used].place for used in reach(libraries, library.public)}
        every = {libraries[used].place for used in reach(libraries, library.public | library.private)}
        for path in sorted((root / library.place).iterdir()):
            if path.suffix not in {".cc", ".h"}:
                continue
            for bracket, target in INCLUDE.findall(path.read_text(encoding="utf-8")):
                folder = target.rpartition("/")[0]
                if bracket == "<" or folder == library.place or folder not in by_folder:
                    continue
                linked = public if path.suffix == ".h" else every
                if folder not in linked:
                    scope = "PUBLIC" if path.suffix == ".h" else "PRIVATE"
                    yield f"{library.place}/{path.name}: includes \"{target}\", but {name} doesn't link {by_folder[folder]} ({scope})"


def faults(root):
    found = []
    for path, place in sources(root):
        if path.suffix in {".h", ".cc"}:
            found.extend(include_faults(root, path, place))
        found.extend(sleep_faults(path, place))
    return found + list(hidden_library_faults(root)) + list(link_faults(root))


def warnings(root):
    for path, place in sources(root):
        if path.suffix in LONGEST:
            lines = len(path.read_text(encoding="utf-8").splitlines())
            if lines > LONGEST[path.suffix]:
                yield f"{place}: {lines} lines; {LONGEST[path.suffix]} are the aim"


class PlantedViolations(unittest.TestCase):
    """A small project that is in order, into which each case plants one fault."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="outrider-layering-")
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        for place, text in {
            "model/CMakeLists.txt": "outrider_library(model PUBLIC fmt::fmt)\n",
            "model/text.h": "// Text.\n#pragma once\n#include <string>\n",
            "model/text.cc": "#include \"model/text.h\"\n#include <nlohmann/json.hpp>\n",
            "metrics/CMakeLists.txt": "outrider_library(metrics PUBLIC outrider_model)\n",
            "metrics/log.h": "#pragma once\n#include \"model/text.h\"\n",
            "platform/mysql/CMakeLists.txt": "outrider_library(mysql PUBLIC outrider_metrics)\n",
            "platform/mysql/pool.h": "#pragma once\n#include \"model/text.h\"\n",
            "platform/crypto/CMakeLists.txt": "outrider_library(crypto)\n",
            "platform/crypto/hmac.h": "#pragma once\n",
            "outbox/CMakeLists.txt": "outrider_library(outbox PUBLIC outrider_mysql # the source\n  PRIVATE outrider_crypto)\n",
            "outbox/relay.h": "#pragma once\n#include \"platform/mysql/pool.h\"\n",
            "outbox/relay.cc": "#include \"outbox/relay.h\"\n#include \"outbox_migrations.embedded.h\"\n#include \"platform/crypto/hmac.h\"\n",
            "providers/CMakeLists.txt": "outrider_library(providers PUBLIC outrider_model)\n",
            "providers/sender.h": "#pragma once\n",
            "consumer/CMakeLists.txt": "outrider_library(consumer PUBLIC outrider_providers)\n",
            "consumer/delivery.h": "#pragma once\n#include \"providers/sender.h\"\n",
            "app/CMakeLists.txt": "outrider_library(app PUBLIC outrider_consumer outrider_outbox)\n",
            "app/sidecar.h": "#pragma once\n#include \"consumer/delivery.h\"\n#include \"outbox/relay.h\"\n",
            "tests/support/process/wait_until.cc": "std::this_thread::sleep_for(pause);\n",
            "tests/support/fake_im/server.h": "#pragma once\n#include \"model/text.h\"\n#include <boost/asio.hpp>\n",
            "tests/unit/relay_test.cc": "#include \"outbox/relay.h\"\n#include \"tests/support/fake_im/server.h\"\n",
        }.items():
            self.write(place, text)

    def write(self, place, text):
        path = self.root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def add(self, place, line):
        path = self.root / place
        path.write_text((path.read_text(encoding="utf-8") if path.exists() else "") + line + "\n", encoding="utf-8")

    def assert_found(self, *beginnings):
        found = faults(self.root)
        for beginning in beginnings:
            self.assertTrue(any(fault.startswith(beginning) for fault in found), f"{beginning!r} is not among {found}")

    def test_a_project_in_order_has_no_fault(self):
        self.assertEqual(faults(self.root), [])

    def test_every_include_against_an_arrow_is_found(self):
        headers = {"model": "model/text.h", "metrics": "metrics/log.h", "platform": "platform/mysql/pool.h", "outbox": "outbox/relay.h",
                   "providers": "providers/sender.h", "consumer": "consumer/delivery.h", "app": "app/sidecar.h"}
        for user, allowed in ARROWS.items():
            for used, header in headers.items():
                place = f"{user}/planted.cc"
                self.write(place, f'#include "{header}"\n')
                against = [fault for fault in faults(self.root) if fault.startswith(place + ": includes") and "may use" in fault]
                self.assertEqual(bool(against), used != user and used not in allowed, f"{user} -> {used}")
                (self.root / place).unlink()

    def test_product_code_that_includes_tests_is_found(self):
        self.add("app/sidecar.h", '#include "tests/support/fake_im/server.h"')
        self.assert_found('app/sidecar.h: includes "tests/')

    def test_the_fake_vendor_uses_the_model_alone(self):
        self.add("tests/support/fake_im/server.h", '#include "providers/sender.h"')
        self.add("tests/support/fake_im/bot.cc", '#include "tests/support/process/wait_until.h"')
        self.assert_found('tests/support/fake_im/server.h: includes "providers/', 'tests/support/fake_im/bot.cc: includes "tests/support/process')

    def test_an_include_that_names_no_room_is_found(self):
        self.add("model/text.cc", '#include "text.h"')
        self.add("model/text.cc", '#  include "../metrics/log.h"')
        self.add("model/text.cc", "#include <metrics/log.h>")
        self.assert_found('model/text.cc: includes "text.h"', 'model/text.cc: includes "../metrics/log.h"', "model/text.cc: includes <metrics/log.h>")

    def test_a_header_without_a_guard_is_found(self):
        self.write("model/bare.h", "// #pragma once is missing.\n")
        self.assert_found("model/bare.h: has no #pragma once")

    def test_a_header_that_shows_a_library_outside_its_folder_is_found(self):
        for library in ["boost/asio.hpp", "nlohmann/json.hpp", "prometheus/registry.h", "librdkafka/rdkafka.h", "mysql.h", "mysql/mysql.h",
                        "curl/curl.h", "yaml-cpp/yaml.h"]:
            self.write("platform/mysql/pool.h", f"#pragma once\n#include <{library}>\n")
            self.assert_found(f'outbox/relay.h: includes "platform/mysql/pool.h", which shows <{library}> outside platform/mysql/')

    def test_a_library_shown_through_another_header_is_found(self):
        self.write("platform/mysql/handle.h", "#pragma once\n#include <mysql.h>\n")
        self.add("platform/mysql/pool.h", '#include "platform/mysql/handle.h"')
        self.assert_found('outbox/relay.h: includes "platform/mysql/pool.h", which shows <mysql.h>', 'app/sidecar.h: includes "outbox/relay.h"')

    def test_a_header_for_its_own_folder_may_show_a_library(self):
        self.write("platform/mysql/handle.h", "#pragma once\n#include <mysql.h>\n")
        self.add("platform/mysql/pool.cc", '#include "platform/mysql/handle.h"')
        self.add("tests/unit/relay_test.cc", '#include "platform/mysql/handle.h"')
        self.assertEqual(faults(self.root), [])

    def test_a_link_against_an_arrow_is_found(self):
        self.write("model/CMakeLists.txt", "outrider_library(model PUBLIC outrider_metrics)\n")
        self.add("outbox/CMakeLists.txt", "target_link_libraries(outrider_outbox\n  PRIVATE outrider_providers)")
        self.assert_found("model/CMakeLists.txt: outrider_model links outrider_metrics",
                          "outbox/CMakeLists.txt: outrider_outbox links outrider_providers")

    def test_a_link_to_nothing_is_found(self):
        self.add("app/CMakeLists.txt", "target_link_libraries(outrider_app PUBLIC outrider_inbox)")
        self.assert_found("app/CMakeLists.txt: outrider_app links outrider_inbox, which doesn't exist")

    def test_an_include_without_a_link_is_found(self):
        self.add("consumer/delivery.cc", '#include "platform/mysql/pool.h"')
        self.add("outbox/relay.h", '#include "platform/crypto/hmac.h"')
        self.assert_found('consumer/delivery.cc: includes "platform/mysql/pool.h", but outrider_consumer',
                          'outbox/relay.h: includes "platform/crypto/hmac.h", but outrider_outbox')

    def test_a_test_that_sleeps_is_found(self):
        for call in ["std::this_thread::sleep_for(1s);", "usleep(5);", "std::this_thread::sleep_until(then);"]:
            self.write("tests/unit/slow_test.cc", call + "\n")
            self.assert_found("tests/unit/slow_test.cc:1: sleeps")

    def test_a_long_file_is_a_warning_only(self):
        self.write("model/long.cc", "//\n" * 501)
        self.assertEqual(list(warnings(self.root)), ["model/long.cc: 501 lines; 500 are the aim"])
        self.assertEqual(faults(self.root), [])


class TheProject(unittest.TestCase):
    def test_goes_along_the_arrows(self):
        for warning in warnings(ROOT):
            print("warning:", warning, file=sys.stderr)
        self.assertEqual(faults(ROOT), [])

    def test_has_every_room(self):
        self.assertEqual([room for room in sorted(ROOMS) if not (ROOT / room).is_dir()], [])


if __name__ == "__main__":
    unittest.main()
