#include "app/command_line.h"

int main(int argc, char** argv, char** environment) { return outrider::app::RunCommandLine(argc, argv, environment); }
