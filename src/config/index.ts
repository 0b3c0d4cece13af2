/**
 * Configuration: one YAML file for all roles, and the declared resources that `apply` reads.
 *
 * It promises that a wrong value is named with file, line and column and what was allowed, that unknown keys fail, and that what it
 * returns was checked and has its defaults. It must not know which members exist (their schemas are passed in), nor how a
 * file is told from one that others could change.
 */

export { apiSocketOf } from './api-socket.ts';
export { type Declared, type DeclaredKind, type DescribedBy, documentSchema, parseDeclared } from './declared.ts';
export { ConfigError, errorTable } from './errors.ts';
export type { MemberSchemas } from './member-schemas.ts';
export { environmentNames, parseConfig } from './parse.ts';
export { readConfigFile } from './read.ts';
export {
  type AgentConfig,
  type Config,
  configSchema,
  type GatewayConfig,
  type ServerConfig,
} from './schema.ts';
export { addressSchema, durationSchema, parseAddress, parseAddresses } from './values.ts';
export { type CheckedDocument, parseChecked } from './yaml.ts';
