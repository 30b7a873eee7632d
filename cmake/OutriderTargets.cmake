# The two shapes of target: a folder's library, and a test program that is one ctest entry.

# outrider_library(NAME [PUBLIC libs...] [PRIVATE libs...]): every .cc of the folder, as outrider_<NAME>.
function(outrider_library name)
  cmake_parse_arguments(ARG "" "" "PUBLIC;PRIVATE" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.cc")
  add_library(outrider_${name} STATIC ${sources})
  target_include_directories(outrider_${name} PUBLIC "${CMAKE_SOURCE_DIR}")
  target_link_libraries(outrider_${name} PUBLIC ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE})
endfunction()

# outrider_embed(TARGET NAMESPACE_SYMBOL FILE...): each FILE becomes an entry {name, text} of the array
# outrider::embedded::<SYMBOL>(), declared in "<SYMBOL>.embedded.h".
function(outrider_embed target symbol)
  set(header "${CMAKE_CURRENT_BINARY_DIR}/${symbol}.embedded.h")
  set(source "${CMAKE_CURRENT_BINARY_DIR}/${symbol}.embedded.cc")
  set(files "")
  foreach(file ${ARGN})
    list(APPEND files "${CMAKE_CURRENT_SOURCE_DIR}/${file}")
  endforeach()
  add_custom_command(
    OUTPUT "${header}" "${source}"
    COMMAND ${CMAKE_COMMAND} -DSYMBOL=${symbol} -DHEADER=${header} -DSOURCE=${source} "-DFILES=${files}"
            -P "${CMAKE_SOURCE_DIR}/cmake/embed.cmake"
    DEPENDS ${files} "${CMAKE_SOURCE_DIR}/cmake/embed.cmake"
    VERBATIM)
  target_sources(${target} PRIVATE "${source}" "${header}")
  target_include_directories(${target} PRIVATE "${CMAKE_CURRENT_BINARY_DIR}")
endfunction()

# outrider_test(NAME [LIBS...] [LABELS...] [TIMEOUT seconds] [ENVIRONMENT VAR=value...]): every .cc of the folder.
# One program, one ctest entry: its servers are started once, in its own global environment.
function(outrider_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "LIBS;LABELS;ENVIRONMENT" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.cc")
  add_executable(${name} ${sources})
  target_link_libraries(${name} PRIVATE ${ARG_LIBS} GTest::gtest GTest::gmock GTest::gtest_main)
  outrider_test_entry(${name} ${name} TIMEOUT "${ARG_TIMEOUT}" LABELS ${ARG_LABELS} ENVIRONMENT ${ARG_ENVIRONMENT})
endfunction()

# outrider_test_entry(NAME PROGRAM [LABELS...] [TIMEOUT seconds] [ENVIRONMENT VAR=value...]): a further ctest entry of a program,
# for example the same suite on another database server.
function(outrider_test_entry name program)
  cmake_parse_arguments(ARG "" "TIMEOUT" "LABELS;ENVIRONMENT" ${ARGN})
  add_test(NAME ${name} COMMAND ${program})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}" ENVIRONMENT "${ARG_ENVIRONMENT}")
  outrider_watched(${name} ${ARG_TIMEOUT})
endfunction()

# outrider_watched(NAME seconds): what every ctest entry needs that runs a program of this build. Under a sanitizer it is
# several times slower, and tests/sanitizers/ watches it.
function(outrider_watched name timeout)
  if(OUTRIDER_SANITIZE)
    math(EXPR timeout "4 * ${timeout}")
    set_tests_properties(${name} PROPERTIES FIXTURES_REQUIRED sanitizer_reports)
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT ${timeout})
endfunction()
