import type { TObject, TSchema } from 'typebox';
import { ConfigError } from './errors.ts';
import type { MemberSchemas } from './member-schemas.ts';
import { type Config, configSchema } from './schema.ts';
import { parseChecked } from './yaml.ts';

/**
 * Parses the configuration file. An environment variable `COUNTERSIGN_SERVER_DATA_DIR` stands for the key `server.dataDir` and wins over the file.
 * Without `members`, what is said of them is neither checked nor taken from the environment.
 * @throws ConfigError ERR_CONFIG_SYNTAX | ERR_CONFIG_INVALID
 */
export function parseConfig(options: {
  file: string;
  text: string;
  members: MemberSchemas | undefined;
  env: Readonly<Record<string, string | undefined>>;
}): Config {
  const schema = configSchema(options.members ?? {});
  const override = (value: unknown) => withEnvironment(schema, value, options.env);
  const [document] = parseChecked({
    file: options.file,
    text: options.text.trim() === '' ? '{}' : options.text,
    schema,
    override,
  });
  return document?.value as Config; // An empty text was replaced by `{}`, so there is a document, and it passed the schema.
}

/** Environment variable → path of each leaf of the schema. */
export function environmentNames(schema: TObject): Map<string, { path: readonly string[]; schema: TSchema }> {
  const names = new Map<string, { path: readonly string[]; schema: TSchema }>();
  const visit = (at: TSchema, path: readonly string[]) => {
    const properties = 'properties' in at ? (at.properties as Record<string, TSchema>) : undefined; // An object schema's properties are schemas.
    if (properties && !isOpen(at)) for (const [key, inner] of Object.entries(properties)) visit(inner, [...path, key]);
    else
      names.set(
        `COUNTERSIGN_${path
          .map((part) =>
            part
              .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
              .replaceAll('-', '_')
              .toUpperCase(),
          )
          .join('_')}`,
        { path, schema: at },
      );
  };
  visit(schema, []);
  return names;
}

/** Whether it is of members that are not known. */
function isOpen(schema: TSchema): boolean {
  return 'additionalProperties' in schema && schema.additionalProperties === true;
}

function withEnvironment(schema: TObject, value: unknown, env: Readonly<Record<string, string | undefined>>): unknown {
  const out: unknown = structuredClone(value);
  const names = environmentNames(schema);
  const open = Array.from(names).flatMap(([name, leaf]) => (isOpen(leaf.schema) ? [`${name}_`] : []));
  const unknown = Object.keys(env).find(
    (name) =>
      name.startsWith('COUNTERSIGN_') &&
      !(names.has(name) || OTHER_NAMES.has(name) || open.some((prefix) => name.startsWith(prefix))),
  );
  if (unknown !== undefined) {
    throw new ConfigError(
      'ERR_CONFIG_INVALID',
      `environment: ${unknown} is no key; server.dataDir, for one, is COUNTERSIGN_SERVER_DATA_DIR`,
    );
  }
  for (const [name, leaf] of names) {
    const text = env[name];
    if (text === undefined || isOpen(leaf.schema)) continue;
    let at = out as Record<string, unknown>; // A document that is no map fails the schema check that follows.
    for (const key of leaf.path.slice(0, -1)) {
      const next = at[key];
      at[key] = typeof next === 'object' && next !== null ? next : {};
      at = at[key] as Record<string, unknown>; // Made an object in the line above.
    }
    const last = leaf.path.at(-1) ?? '';
    const kind = 'type' in leaf.schema ? leaf.schema.type : undefined;
    at[last] = kind === 'boolean' ? text === 'true' : kind === 'integer' || kind === 'number' ? Number(text) : text;
  }
  return out;
}

/** Read by the command line, not keys of the file. */
const OTHER_NAMES: ReadonlySet<string> = new Set(['COUNTERSIGN_CONFIG', 'COUNTERSIGN_TARGETS_DIR']);
