// DataTemplate: a freshly initialised data folder for each server version, kept in the user's cache
// (${XDG_CACHE_HOME:-~/.cache}/outrider) and made once, under a lock, by whoever needs it first. Errors:
// std::runtime_error.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

namespace outrider::testing {

// The template's folder. `initialise` fills the (existing, empty) folder it is given; an attempt that fails leaves
// nothing.
std::filesystem::path DataTemplate(const std::string& name,
                                   const std::function<void(const std::filesystem::path&)>& initialise);

}  // namespace outrider::testing
