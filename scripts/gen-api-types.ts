import type { TSchema } from 'typebox';

/** A TypeScript type for what a schema takes; `indent`: spaces before the line that it begins on. @throws for a schema of a kind that none has yet */
export function typeText(schema: TSchema, indent: number): string {
  const shape = JSON.parse(JSON.stringify(schema)) as Shape; // JSON Schema.
  return textOf(shape, indent);
}

function textOf(shape: Shape, indent: number): string {
  if (shape.enum !== undefined) return shape.enum.map((one) => quoted(one)).join(' | ');
  if (shape.const !== undefined) return quoted(shape.const);
  switch (shape.type) {
    case 'string':
      return 'string';
    case 'integer':
    case 'number':
      return 'number';
    case 'boolean':
      return 'boolean';
    case 'array': {
      const item = textOf(shape.items ?? {}, indent);
      return `readonly ${item.includes(' | ') && !item.startsWith('{') ? `(${item})` : item}[]`;
    }
    case 'object':
      return objectText(shape, indent);
    case undefined:
      return 'unknown';
    default:
      throw new Error(`a schema of type ${shape.type} has no type in the client`);
  }
}

function objectText({ properties, required = [], patternProperties }: Shape, indent: number): string {
  const [values] = Object.values(patternProperties ?? {});
  if (values !== undefined) return `Readonly<Record<string, ${textOf(values, indent)}>>`;
  const pad = ' '.repeat(indent + 2);
  const fields = Object.entries(properties ?? {}).map(([name, inner]) => {
    const words = inner.description === undefined ? '' : `${pad}/** ${inner.description.replaceAll('*/', '* /')} */\n`;
    const mark = required.includes(name) ? '' : '?';
    const may = mark === '' ? '' : ' | undefined';
    return `${words}${pad}readonly ${name}${mark}: ${textOf(inner, indent + 2)}${may};\n`;
  });
  return fields.length === 0 ? 'Readonly<Record<never, never>>' : `{\n${fields.join('')}${' '.repeat(indent)}}`;
}

/** As this project writes texts. */
function quoted(value: unknown): string {
  return typeof value === 'string' && !/['\\\n]/.test(value) ? `'${value}'` : JSON.stringify(value);
}

interface Shape {
  readonly type?: string;
  readonly description?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly items?: Shape;
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly required?: readonly string[];
  readonly patternProperties?: Readonly<Record<string, Shape>>;
}
