import { existsSync } from 'node:fs';
import { Type } from 'typebox';
import { parseChecked, readConfigFile } from '../config/index.ts';
import { readTrustedFile } from '../private-files/index.ts';
import type { CliContext } from './command.ts';

/** Whether there is a configuration file; one that was named must be there. */
export function hasConfig({ configNamed, configPath }: CliContext): boolean {
  return configNamed || existsSync(configPath);
}

/** The text of the configuration file. @throws ConfigError when it can't be read, or others could change it */
export function configText({ configPath }: CliContext): string {
  return readConfigFile(configPath, (path) => readTrustedFile(path, { bytesMax: CONFIG_BYTES_MAX }));
}

/**
 * The trust domain of this machine's configuration, of which nothing else is looked at: what all of it may hold takes every member's schema
 * to know. Undefined where there is none that this user can read, or it says no trust domain; whoever starts a role is told what is wrong.
 */
export function configuredTrustDomain(context: CliContext): string | undefined {
  const fromEnvironment = context.env['COUNTERSIGN_TRUST_DOMAIN'];
  if (fromEnvironment !== undefined) return fromEnvironment;
  if (!hasConfig(context)) return undefined;
  try {
    const document = { file: context.configPath, text: configText(context), schema: TRUST_DOMAIN };
    return parseChecked(document)[0]?.value.trustDomain;
  } catch {
    return undefined;
  }
}

const TRUST_DOMAIN = Type.Object({ trustDomain: Type.String() });
/** Some thousand times a long one. */
const CONFIG_BYTES_MAX = 1024 * 1024;
