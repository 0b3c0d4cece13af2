import { existsSync } from 'node:fs';
import { type Config, parseConfig, readConfigFile } from '../config/index.ts';
import { readTrustedFile } from '../private-files/index.ts';
import type { CliContext } from './command.ts';

/** The text of the configuration file. @throws ConfigError when it can't be read, or others could change it */
export function configText({ configPath }: CliContext): string {
  return readConfigFile(configPath, (path) => readTrustedFile(path, { bytesMax: CONFIG_BYTES_MAX }));
}

/** Whether there is a configuration file; one that was named must be there. */
export function hasConfig({ configNamed, configPath }: CliContext): boolean {
  return configNamed || existsSync(configPath);
}

/**
 * What the configuration says, when there is a file, of all but the members that roles are made of: for commands that only want its defaults,
 * and to which those members would be most of what they load. @throws ConfigError
 */
export function settingsIfAny(context: CliContext): Config | undefined {
  if (!hasConfig(context)) return undefined;
  const { configPath, env } = context;
  return parseConfig({ file: configPath, text: configText(context), members: undefined, env });
}

/** Some thousand times a long one. */
const CONFIG_BYTES_MAX = 1024 * 1024;
