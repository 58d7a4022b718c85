// SPDX-License-Identifier: Apache-2.0
#include "cli/run.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <optional>
#include <span>
#include <vector>

#include "cli/commands.hpp"
#include "cli/format.hpp"
#include "cli/report.hpp"
#include "cli/secret_arguments.hpp"
#include "service/json_forms.hpp"
#include "service/signals.hpp"
#include "service/suggestion.hpp"

namespace dig::cli {
namespace {

using Arguments = std::span<const char* const>;

struct GlobalFlags {
  std::string home;
  std::string log_level;
  std::string color;
  int verbose = 0;
  bool is_quiet = false;
  bool is_json = false;
  bool wants_version = false;
};

void define_global_flags(CLI::App& app, GlobalFlags& flags) {
  app.add_option("--home", flags.home, "Folder of the identity and the stores (default: $XDG_DATA_HOME/dignet)")
      ->type_name("DIR");
  app.add_flag("--json", flags.is_json, "One JSON object a line on stdout");
  app.add_flag("-v,--verbose", flags.verbose, "Say more: attempts, and the log from debug on");
  app.add_flag("-q,--quiet", flags.is_quiet, "Say only errors");
  app.add_option("--log-level", flags.log_level, "trace, debug, info, warn, error or off")
      ->type_name("LEVEL")
      ->check(
          CLI::IsMember(std::vector<std::string>(std::begin(service::k_log_levels), std::end(service::k_log_levels))));
  app.add_option("--color", flags.color, "auto, always or never")
      ->type_name("WHEN")
      ->check(CLI::IsMember(
          std::vector<std::string>(std::begin(service::k_color_modes), std::end(service::k_color_modes))));
  app.add_flag("--version", flags.wants_version, "Print the version");
}

// The first argument that is neither a flag nor the value of a global one.
std::optional<std::string_view> typed_command(Arguments arguments) {
  constexpr std::string_view k_with_value[] = {"--home", "--log-level", "--color"};
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    const std::string_view argument = arguments[i];
    if (std::ranges::find(k_with_value, argument) != std::end(k_with_value)) {
      ++i;
    } else if (!argument.starts_with("-")) {
      return argument;
    }
  }
  return std::nullopt;
}

const Command* find_command(std::optional<std::string_view> name) {
  if (!name) return nullptr;
  const auto all = commands();
  const auto found = std::ranges::find(all, *name, &Command::name);
  return found == all.end() ? nullptr : &*found;
}

int fail_as(Console& console, const Command* command, const Error& error) {
  if (command != nullptr && command->ends_with_done_event) {
    return report_failed_operation(console, service::error_form(error));
  }
  return report_failure(console, error);
}

std::string unknown_command(std::string_view typed) {
  std::vector<std::string_view> names;
  for (const Command& command : commands()) names.push_back(command.name);
  return "unknown command \"" + printable(typed) + "\"" + service::did_you_mean(typed, names);
}

// "--pere (did you mean "--peer"?)", when the first argument nobody wanted looks like a flag.
std::string unknown_flag(const CLI::App& app, const std::vector<std::string>& left_over) {
  const auto flag = std::ranges::find_if(left_over, [](const std::string& word) { return word.starts_with("--"); });
  if (flag == left_over.end()) return {};
  std::vector<std::string> names;
  for (const CLI::App* one = &app; one != nullptr;) {
    for (const CLI::Option* option : one->get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
    const auto chosen = one->get_subcommands();
    one = chosen.empty() ? nullptr : chosen.front();
  }
  const std::string typed = flag->substr(0, flag->find('='));
  const std::vector<std::string_view> views(names.begin(), names.end());
  return "unknown flag " + printable(typed) + service::did_you_mean(typed, views);
}

bool wants_color(const std::string& flag, const service::Settings& environment, const service::Settings& merged) {
  const auto variable = service::process_environment();
  std::string mode = merged.color.value_or("auto");
  // NO_COLOR (no-color.org) stands between the variables of dignet and its file.
  if (!environment.color && variable("NO_COLOR")) mode = "never";
  if (!flag.empty()) mode = flag;
  if (mode != "auto") return mode == "always";
  return Console::is_terminal() && variable("TERM").value_or("dumb") != "dumb";
}

std::string log_level(const GlobalFlags& flags, const service::Settings& settings) {
  if (!flags.log_level.empty()) return flags.log_level;
  if (flags.is_quiet) return "error";
  if (flags.verbose > 0) return flags.verbose > 1 ? "trace" : "debug";
  return settings.log_level.value_or("");
}

int run_command(Console& console, const GlobalFlags& flags, const Command& command, const Action& action,
                const std::string& version) {
  const service::Environment environment = service::process_environment();
  const auto paths = service::find_home(flags.home.empty() ? std::nullopt : std::optional(flags.home), environment);
  if (!paths) return fail_as(console, &command, paths.error());
  const auto from_file = service::load_settings(paths->config);
  if (!from_file) return fail_as(console, &command, from_file.error());
  const auto from_environment = service::settings_from_environment(environment);
  if (!from_environment) return fail_as(console, &command, from_environment.error());

  service::EventLoop loop;
  Context context{.console = console,
                  .loop = loop,
                  .paths = *paths,
                  .settings = service::merge(*from_environment, *from_file),
                  .are_tiers_from_environment = from_environment->tiers.has_value(),
                  .log_level = {},
                  .version = version};
  context.log_level = log_level(flags, context.settings);
  const Verbosity verbosity = flags.is_quiet      ? Verbosity::quiet
                              : flags.verbose > 0 ? Verbosity::verbose
                                                  : Verbosity::normal;
  console.configure({.is_json = flags.is_json,
                     .has_color = wants_color(flags.color, *from_environment, context.settings),
                     .verbosity = verbosity});
  return action(context);
}

}  // namespace

int run(int argc, char** argv, const std::string& version) {
  service::Signals::install();
  const Arguments arguments(argv, static_cast<std::size_t>(argc));
  Console console;
  // Known before parsing, because a wrong use is reported in the same form.
  const bool is_json = std::ranges::find(arguments, std::string_view("--json"),
                                         [](const char* word) { return std::string_view(word); }) != arguments.end();
  console.configure({.is_json = is_json});
  const std::optional<std::string_view> typed = typed_command(arguments);
  const Command* const command = find_command(typed);

  CLI::App app("Fetches content-addressed stores from peers, over the best path there is, and verifies them.",
               "dignet");
  app.fallthrough();  // global flags may stand behind the command
  app.footer("Examples:\n  dignet add holiday/\n  dignet serve\n  dignet get --peer ADDRESS URN -o holiday.dig");
  GlobalFlags flags;
  define_global_flags(app, flags);
  Action action;
  for (const Command& one : commands()) {
    CLI::App* const parser = app.add_subcommand(std::string(one.name), std::string(one.summary));
    Action defined = one.define(*parser);
    if (&one == command) action = std::move(defined);
  }
  if (typed && command == nullptr)
    return fail_as(console, nullptr, Error(Errc::invalid_argument, unknown_command(*typed)));
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    return app.exit(help, is_json ? std::cerr : std::cout, std::cerr);
  } catch (const CLI::ParseError& error) {
    const std::string flag = unknown_flag(app, app.remaining(true));
    return fail_as(console, command, Error(Errc::invalid_argument, flag.empty() ? error.what() : flag));
  }
  hide_secret_arguments({argv, static_cast<std::size_t>(argc)});
  if (flags.wants_version) {
    console.json({{"version", version}});
    console.result("dignet " + version);
    return 0;
  }
  if (command == nullptr) {
    std::cerr << app.help();
    return static_cast<int>(ErrorKind::usage);
  }
  return run_command(console, flags, *command, action, version);
}

}  // namespace dig::cli
