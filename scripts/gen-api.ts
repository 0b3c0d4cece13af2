/**
 * What follows from the endpoints that features export: the registry of them, the document of the API, its page, its client's types, and the default
 * policy in parsed form.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { TSchema } from 'typebox';
import { accessSchema, builtInPolicy, defaultPolicy } from '../src/api/index.ts';
import { type EndpointWords, openApiDocument, placesOf } from '../src/endpoint/index.ts';
import { createPolicyLoader } from '../src/policy/index.ts';
import type { KindMember } from '../src/resources/index.ts';
import { typeText } from './gen-api-types.ts';

/** Every generated file, repository-relative path → text. */
export async function apiFiles(root: string, kinds: readonly KindMember[]): Promise<Map<string, string>> {
  const features = featuresWithEndpoints(root);
  const ofKinds: string[] = [];
  const lists = await Promise.all(
    features.map(async (feature): Promise<readonly EndpointWords[]> => {
      const door: Door = await import(join(root, 'src', feature, 'index.ts'));
      if (door.endpoints === undefined) throw new Error(`src/${feature}/index.ts must export its endpoints`);
      if (door.endpointsOfKinds === undefined) return door.endpoints;
      ofKinds.push(feature);
      return [...door.endpoints, ...door.endpointsOfKinds(kinds)];
    }),
  );
  const endpoints = lists.flat().toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return new Map([
    ['src/app/endpoint-registry.generated.ts', registryText(features, ofKinds.toSorted())],
    ['src/app/access-forms.generated.ts', formsText(endpoints)],
    ['sdk/src/client/operations.generated.ts', clientText(endpoints)],
    ['docs/reference/openapi.json', `${JSON.stringify(openApiDocument(endpoints), null, 1)}\n`],
    ['docs/reference/api.md', pageText(endpoints)],
  ]);
}

/** What a feature offers; `endpointsOfKinds`: besides, by what kinds of resources there are. */
interface Door {
  readonly endpoints?: readonly EndpointWords[];
  readonly endpointsOfKinds?: (kinds: readonly KindMember[]) => readonly EndpointWords[];
}

/** A feature that offers endpoints has them in a file `endpoints.ts`, and exports `endpoints` at its door. */
function featuresWithEndpoints(root: string): string[] {
  if (!existsSync(join(root, 'src'))) return [];
  return readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((file) => /^[^/]+\/(?:[^/]+\/)?endpoints\.ts$/.test(file))
    .map((file) => file.split('/')[0] ?? '')
    .filter((feature, index, all) => all.indexOf(feature) === index)
    .toSorted();
}

function registryText(features: readonly string[], ofKinds: readonly string[]): string {
  const imports = features.map((feature) => {
    const more = ofKinds.includes(feature) ? `, endpointsOfKinds as ${camel(feature)}OfKinds` : '';
    return `import { endpoints as ${camel(feature)}${more} } from '../${feature}/index.ts';\n`;
  });
  const registry = "import { resourceKinds } from '../resources/kinds/registry.generated.ts';\n";
  const lists = [
    ...features.map((feature) => `...${camel(feature)}`),
    ...ofKinds.map((feature) => `...${camel(feature)}OfKinds(resourceKinds)`),
  ];
  return `${GENERATED}${imports.join('')}${ofKinds.length > 0 ? registry : ''}\nexport const endpoints = [${lists.join(', ')}] as const;\n`;
}

/** A server that has them need not load Cedar to know what its own policies say. */
function formsText(endpoints: readonly EndpointWords[]): string {
  const forms = createPolicyLoader(accessSchema(endpoints)).parsed([builtInPolicy, defaultPolicy]);
  if (forms === undefined) throw new Error('the policies of the API are not valid');
  const rows = forms.forms.map(
    ({ textDigest, json }) =>
      `    { textDigest: Buffer.from('${Buffer.from(textDigest).toString('hex')}', 'hex'), json: ${JSON.stringify(json)} },\n`,
  );
  return `${GENERATED}import type { ParsedForms } from '../policy/index.ts';\n\nexport const accessForms: ParsedForms = {\n  by: ${JSON.stringify(forms.by)},\n  forms: [\n${rows.join('')}  ],\n};\n`;
}

function clientText(endpoints: readonly EndpointWords[]): string {
  const types = endpoints.map(({ name, summary, input, output, live }) => {
    const fields = [
      `    readonly input: ${typeText(input, 4)};\n`,
      `    readonly ${live ? 'event' : 'output'}: ${typeText(output, 4)};\n`,
    ];
    return `  /** ${summary} */\n  '${name}': {\n${fields.join('')}  };\n`;
  });
  const isLive = (wanted: boolean) =>
    endpoints
      .filter(({ live }) => live === wanted)
      .map(({ name }) => ` | '${name}'`)
      .join('');
  const rows = endpoints.map((endpoint) => {
    const { path, query, body } = placesOf(endpoint);
    return `  '${endpoint.name}': ${JSON.stringify({ method: endpoint.method, path: endpoint.path, inPath: path, inQuery: query, inBody: body })},\n`;
  });
  return `${GENERATED}/** What a server is asked, and what it answers. */\nexport interface Operations {\n${types.join('')}}\n\n/** Operations that answer once. */\nexport type CallName =${isLive(false)};\n\n/** Operations that tell of events for as long as somebody listens. */\nexport type FollowName =${isLive(true)};\n\n/** Where the fields of an input go. */\nexport interface OperationPlaces {\n  readonly method: string;\n  readonly path: string;\n  readonly inPath: readonly string[];\n  readonly inQuery: readonly string[];\n  readonly inBody: readonly string[];\n}\n\nexport const operations: Readonly<Record<keyof Operations, OperationPlaces>> = {\n${rows.join('')}};\n`;
}

function pageText(endpoints: readonly EndpointWords[]): string {
  const rows = endpoints.map(({ name, method, path, summary, audit }) =>
    row([`\`${name}\``, `\`${method} ${path}\``, summary, audit === undefined ? '' : `\`${audit.as}\``]),
  );
  const sections = endpoints.map(sectionOf);
  return `<!-- Generated by scripts/gen.ts; do not edit. -->\n\n# API reference\n\nThe same as [openapi.json](openapi.json), which every server also serves at \`/v1/openapi.json\`. How to call it: [guide](../guide/api.md). Failures: [errors](errors.md).\n\n${row(['name', 'request', 'what it does', 'recorded as'])}${row(['---', '---', '---', '---'])}${rows.join('')}\n${sections.join('\n')}`;
}

function sectionOf(endpoint: EndpointWords): string {
  const { name, method, path, summary, description, input, output, action, live, idempotent, conditional } = endpoint;
  const places = placesOf(endpoint);
  const inputs = Object.entries(input.properties).map(([field, schema]) => {
    const place = places.path.includes(field) ? 'path' : places.query.includes(field) ? 'query' : 'body';
    return row([`\`${field}\``, place, kindOf(schema), isRequired(input, field) ? 'required' : '', wordsOf(schema)]);
  });
  const outputs = Object.entries(output.properties).map(([field, schema]) =>
    row([`\`${field}\``, kindOf(schema), isRequired(output, field) ? '' : 'may be absent', wordsOf(schema)]),
  );
  const notes = [
    `Policy is asked about \`${action}\`.`,
    ...(live ? ['It goes on: server-sent events, each with that as its data.'] : []),
    ...(idempotent === 'by-key' ? ['Takes `Idempotency-Key`.'] : []),
    ...(conditional ? ['Takes `If-Match`.'] : []),
  ];
  const takes =
    inputs.length === 0
      ? ''
      : `\n${row(['input', 'in', 'type', '', 'meaning'])}${row(['---', '---', '---', '---', '---'])}${inputs.join('')}`;
  return `## ${name}\n\n\`${method} ${path}\`: ${summary} ${description === undefined ? '' : `${description} `}${notes.join(' ')}\n${takes}\n${row(['answer', 'type', '', 'meaning'])}${row(['---', '---', '---', '---'])}${outputs.join('')}`;
}

function kindOf(schema: TSchema): string {
  const { type, items } = schema as { type?: string; items?: TSchema }; // JSON Schema.
  if ('enum' in schema) return (schema.enum as readonly string[]).map((one) => `\`${one}\``).join(', ');
  return items === undefined ? (type ?? 'any') : `array of ${kindOf(items)}`;
}

function wordsOf(schema: TSchema): string {
  return 'description' in schema ? String(schema.description) : '';
}

function isRequired(schema: TSchema, field: string): boolean {
  return ((schema as { required?: readonly string[] }).required ?? []).includes(field); // JSON Schema of an object.
}

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`;
}

function camel(id: string): string {
  return id.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

const GENERATED = '// Generated by scripts/gen.ts; do not edit.\n';
