import {
  chmodSync,
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { UsageError } from '../command.ts';
import { command } from '../commands/target/routes.ts';
import { askCommand } from '../testing/ask-command.ts';

// Goal: routes are shown before they are written, and a file is written whole or stays as it is.

const PETS = join(import.meta.dirname, '../../api-documents/testdata/petstore.yaml');
const TARGET =
  'kind: Target\nname: pets\nspec:\n  protocol: http\n  url: https://pets.example.org\n  routes:\n    - { name: mine, path: /v1/pets, methods: [GET] } # ours\n';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'routes-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const put = (name: string, text: string) => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
const routes = (options: Record<string, unknown>, file = PETS) => askCommand(options, command, file);

describe('target routes', () => {
  it('prints them, and says what is not as the document has it', async () => {
    const { text, warned, value } = await routes({});
    expect(text.split('\n').slice(0, 2)).toEqual([
      'routes:',
      '  - { name: list-pets, methods: [GET], path: /v1/pets }',
    ]);
    expect(warned).toEqual([expect.stringContaining('note: GET /v1/pets/{petId}/photo.{format} becomes')]);
    expect(value).toMatchObject({
      routes: [{ name: 'list-pets' }, {}, {}, {}, {}],
      notes: [warned[0]?.slice('note: '.length)],
    });
  });

  it('shows what is new in a file, and writes nothing unless told to', async () => {
    const into = put('target.yaml', TARGET);
    const { text, value } = await routes({ into });
    expect(text).toContain('+8:     - { name: create-pet, methods: [POST], path: /v1/pets }');
    expect(text).toContain('4 routes to add to');
    expect(value).toMatchObject({ target: 'pets', written: false });
    expect(readFileSync(into, 'utf8')).toBe(TARGET);
  });

  it('writes it, by the name that links lead to, with its mode, and a second time finds nothing to do', async () => {
    const real = put('target.yaml', TARGET);
    chmodSync(real, 0o640);
    const into = join(folder, 'link.yaml');
    symlinkSync(real, into);
    expect((await routes({ into, write: true, reads: 'query' })).text).toContain('wrote 4 routes into');
    const text = readFileSync(real, 'utf8');
    expect(text.startsWith(TARGET)).toBe(true);
    expect(statSync(real).mode & 0o777).toBe(0o640);
    expect((await routes({ into, write: true })).text).toContain('has a route for each operation already');
    expect(readFileSync(real, 'utf8')).toBe(text);
    expect(readdirSync(folder).toSorted()).toEqual(['link.yaml', 'target.yaml']);
  });

  it('leaves the file as it is where another run is writing', async () => {
    const into = put('target.yaml', TARGET);
    put('target.yaml.new', 'half');
    await expect(routes({ into, write: true })).rejects.toThrow(
      /target\.yaml\.new is there: another run is writing.*remove it/,
    );
    expect(readFileSync(into, 'utf8')).toBe(TARGET);
    expect(readFileSync(join(folder, 'target.yaml.new'), 'utf8')).toBe('half');
  });

  it('changes no byte of a file that is in no UTF-8, since it can not tell what they are', async () => {
    const into = put('target.yaml', TARGET);
    writeFileSync(into, Buffer.from(TARGET.replace('ours', 'M\xfcller'), 'latin1'));
    await expect(routes({ into, write: true })).rejects.toThrow(/is no text in UTF-8; convert it/);
    expect(readFileSync(into, 'latin1')).toContain('M\xfcller');
  });

  it('says what policies no longer reach, or reach now, by what is new', async () => {
    const open = await routes({ into: put('target.yaml', TARGET) });
    expect(open.warned.at(-1)).toMatch(/no longer asked about as resource == Http::Origin::"pets"/);
    const refusing = `${TARGET}  unlisted: refuse\n`;
    const closed = await routes({ into: put('target.yaml', refusing) });
    expect(closed.warned.at(-1)).toMatch(
      /were refused until now .* resource in Http::Origin::"pets", permits them too/,
    );
    expect((await routes({ into: put('target.yaml', TARGET), under: '/nowhere' })).warned).toEqual([]);
  });

  it('takes the server at the target’s own address, and asks where it can’t tell', async () => {
    const text = readFileSync(PETS, 'utf8').replace('servers:\n', 'servers:\n  - url: https://old.example.org/v0\n');
    const file = put('pets.yaml', text);
    await expect(routes({}, file)).rejects.toThrow(
      /--server NUMBER: 1 https:\/\/old.example.org\/v0, 2 https:\/\/pets/,
    );
    expect((await routes({ server: '1' }, file)).text).toContain('path: /v0/pets }');
    expect((await routes({ server: 'https://pets.example.org/v1' }, file)).text).toContain('path: /v1/pets }');
    expect((await routes({ into: put('target.yaml', TARGET) }, file)).text).toContain('path: /v1/pets }');
    await expect(routes({ server: '3' }, file)).rejects.toThrow(/--server 3 is none/);
  });

  it.each<[string, Record<string, unknown>, RegExp]>([
    ['a kind of value that is none', { reads: 'query,cookie' }, /not "cookie"/],
    ['--write without a file', { write: true }, /go with --into/],
    ['--target without a file', { target: 'x' }, /go with --into/],
    ['a file that is not there', { into: '/nowhere/x.yaml' }, /there is no \/nowhere\/x.yaml/],
  ])('refuses %s', async (_, options, message) => {
    await expect(routes(options)).rejects.toThrow(message);
    await expect(routes(options)).rejects.toBeInstanceOf(UsageError);
  });

  it('refuses a file whose target is not the one, or is wrong already', async () => {
    const two = `${TARGET}---\n${TARGET.replace('pets', 'cats')}`;
    await expect(routes({ into: put('two.yaml', two) })).rejects.toThrow(
      /declares pets, cats; choose one with --target/,
    );
    expect((await routes({ into: join(folder, 'two.yaml'), target: 'cats' })).value).toMatchObject({ target: 'cats' });
    await expect(routes({ into: join(folder, 'two.yaml'), target: 'dogs' })).rejects.toThrow(/no HTTP target dogs/);
    const wrong = put('wrong.yaml', `${TARGET}    - { name: mine, path: /x }\n`);
    await expect(routes({ into: wrong })).rejects.toThrow(/two routes have the name mine; mend that first/);
    await expect(routes({ into: put('no.yaml', 'kind: Target\n') })).rejects.toThrow(/name is required/);
  });

  it('names the file of a document that is none', async () => {
    const file = put('x.yaml', 'hello: 1\n');
    await expect(routes({}, file)).rejects.toThrow(`${file}: it is no OpenAPI document`);
    await expect(routes({}, folder)).rejects.toThrow(/is no file/);
    copyFileSync(PETS, join(folder, 'pets.yaml'));
    await expect(routes({ under: '/v1' }, join(folder, 'pets.yml'))).rejects.toThrow(/there is no/);
  });
});
