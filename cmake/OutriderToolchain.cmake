# Warnings, sanitizers, ccache and mold: everything that holds for every target.
option(OUTRIDER_WERROR "Treat warnings as errors" ON)
set(OUTRIDER_SANITIZE "" CACHE STRING "Sanitizers to build with, as -fsanitize takes them: address,undefined or thread")

add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wcast-align
                    -Wunused -Wimplicit-fallthrough -Wno-missing-field-initializers)
if(OUTRIDER_WERROR)
  add_compile_options(-Werror)
endif()
if(OUTRIDER_SANITIZE)
  add_compile_options(-fsanitize=${OUTRIDER_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${OUTRIDER_SANITIZE})
  if(OUTRIDER_SANITIZE MATCHES "undefined")
    # Undefined behaviour ends the process too: a line among a test's output fails nothing.
    add_compile_options(-fno-sanitize-recover=all)
  endif()
  # g++ 12 reports paths that the sanitizers' own instrumentation makes up.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-Wno-maybe-uninitialized)
  endif()
  # The thread sanitizer knows no fences; Asio's are beside the locks that it sees.
  if(OUTRIDER_SANITIZE MATCHES "thread")
    add_compile_definitions(BOOST_ASIO_DISABLE_FENCED_BLOCK)
  endif()
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  add_compile_options(-fstack-protector-strong -D_FORTIFY_SOURCE=2)
  add_link_options(-Wl,-z,relro,-z,now)
endif()
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

find_program(OUTRIDER_CCACHE ccache)
if(OUTRIDER_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${OUTRIDER_CCACHE}")
endif()
find_program(OUTRIDER_MOLD mold)
if(OUTRIDER_MOLD)
  add_link_options(-fuse-ld=mold)
endif()
