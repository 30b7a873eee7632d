// The command line of `outrider`: what there is to say, and what is done for it.
#pragma once

namespace outrider::app {

// The exit code: 0 ok, 1 failed, 2 usage or configuration, 3 unhealthy. REQUIRES: called once, by main().
int RunCommandLine(int argc, char** argv, char** environment);

}  // namespace outrider::app
