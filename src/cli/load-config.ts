import { memberSchemas } from '../app/members.ts';
import { type Config, ConfigError, parseConfig } from '../config/index.ts';
import type { CliContext } from './command.ts';
import { configText, hasConfig } from './settings.ts';

/**
 * Reads the configuration file of this call.
 * @throws ConfigError when it can't be read, or holds anything wrong
 */
export function loadConfig(context: CliContext): Config {
  return parseConfig({
    file: context.configPath,
    text: configText(context),
    members: memberSchemas,
    env: context.env,
  });
}

/** The configuration when there is a file, else undefined. */
export function loadConfigIfAny(context: CliContext): Config | undefined {
  return hasConfig(context) ? loadConfig(context) : undefined;
}

/** The section of a role. @throws ConfigError */
export function requireSection<R extends 'server' | 'agent' | 'gateway'>(
  context: CliContext,
  config: Config,
  role: R,
): NonNullable<Config[R]> {
  const section = config[role];
  if (section) return section;
  throw new ConfigError(
    'ERR_CONFIG_INVALID',
    `${context.configPath} has no section ${role}; add one, if only \`${role}: {}\``,
  );
}
