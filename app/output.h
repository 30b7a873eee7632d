// Output: what the commands print: tables and timelines for people, JSON for programs. Data goes to stdout, everything
// else to stderr. Pure text making; colour only where the caller says that stdout is a terminal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "consumer/record_query.h"

namespace outrider::app {

// A text from elsewhere can't move the cursor or forge a line: control characters are written as \u{hex}.

// "outrider: ...", a line on standard error.
void Say(std::string_view text);
// "1 record", "12 records": of nouns whose plural ends in s.
std::string Counted(std::size_t count, std::string_view noun);

// Columns padded to the display width of their longest cell (East Asian wide characters count two).
std::string Table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows);

// "committed ... recorded ... attempt 1 ... sent": one record's story, one event a line, oldest first, with what it
// waits for last.
std::string Story(const consumer::RecordView& record, bool colour);
std::string StoryJson(const std::vector<consumer::RecordView>& records);

std::string RecordTable(const std::vector<consumer::RecordView>& records);

}  // namespace outrider::app
