/** Fetches sources with the ordinary clients of their registries. What is there already is not fetched again. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { command, mustRun } from './command.ts';

/** The folder of a Debian source package, of this very version when one is named. */
export async function debianSource(cache: string, name: string, version?: string): Promise<string> {
  return once(cache, name, async (folder) => {
    const apt = [...(await sourceLists(cache)), 'source', '--download-only'];
    const wanted = version === undefined ? name : `${name}=${version}`;
    await mustRun('apt-get', [...apt, wanted], { cwd: folder });
    const [description] = fs.readdirSync(folder).filter((file) => file.endsWith('.dsc'));
    if (description === undefined) throw new Error(`apt-get source ${wanted} left no description`);
    await mustRun('dpkg-source', ['-x', description, 'source'], { cwd: folder });
    return path.join(folder, 'source');
  });
}

/** The folder of a source distribution of PyPI's. */
export async function pythonSource(cache: string, name: string, version: string): Promise<string> {
  return once(cache, `${name}-${version}`, async (folder) => {
    const how = ['--no-deps', '--no-binary', name, '--quiet'];
    // pip asks the package's own build for its metadata, which may fail after the file is there.
    await command('python3', ['-m', 'pip', 'download', ...how, '--dest', folder, `${name}==${version}`], {
      cwd: folder,
    });
    const [archive] = fs.readdirSync(folder).filter((file) => file.endsWith('.tar.gz'));
    if (archive === undefined) throw new Error(`there is no source distribution of ${name} ${version}`);
    return unpack(folder, archive);
  });
}

/** The folder of a Go module, a copy that can be written to. */
export async function goModule(cache: string, go: string, name: string, version: string): Promise<string> {
  return once(cache, `${name.replaceAll('/', '-')}-${version}`, async (folder) => {
    fs.writeFileSync(path.join(folder, 'go.mod'), 'module foreign\n');
    const told = await mustRun(go, ['mod', 'download', '-json', `${name}@${version}`], { cwd: folder });
    const { Dir }: { Dir?: string } = JSON.parse(told);
    if (Dir === undefined) throw new Error(`there is no module ${name} ${version}`);
    await mustRun('cp', ['-r', '--no-preserve=mode', Dir, 'source'], { cwd: folder });
    return path.join(folder, 'source');
  });
}

/** The folder of an archive (`tar.gz`) of a Maven artifact: `group:artifact:version:tar.gz:classifier`. */
export async function mavenSource(cache: string, artifact: string): Promise<string> {
  return once(cache, artifact.split(':').slice(1, 3).join('-'), async (folder) => {
    const copy = ['-q', '-B', 'dependency:copy', `-Dartifact=${artifact}`, `-DoutputDirectory=${folder}`];
    await mustRun('mvn', copy, { cwd: folder });
    const [archive] = fs.readdirSync(folder).filter((file) => file.endsWith('.tar.gz'));
    if (archive === undefined) throw new Error(`there is no ${artifact}`);
    return unpack(folder, archive);
  });
}

/** Makes a folder of the cache by `fill`, which resolves to the place in it that is wanted; one that failed half-way is made anew. */
export async function once(cache: string, name: string, fill: (folder: string) => Promise<string>): Promise<string> {
  const [folder, done] = [path.join(cache, name), path.join(cache, `${name}.done`)];
  if (fs.existsSync(done)) return fs.readFileSync(done, 'utf8');
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  const place = await fill(folder);
  fs.writeFileSync(done, place);
  return place;
}

async function unpack(folder: string, archive: string): Promise<string> {
  fs.mkdirSync(path.join(folder, 'source'));
  await mustRun('tar', ['-xzf', archive, '-C', 'source', '--strip-components=1', '--no-same-owner'], { cwd: folder });
  return path.join(folder, 'source');
}

/** The machine's own sources of packages asked for source packages, in lists of our own: the machine's stay as they are. */
async function sourceLists(cache: string): Promise<string[]> {
  const apt = path.join(cache, 'apt');
  const parts = path.join(apt, 'parts');
  const options = [
    ...['-o', 'Dir::Etc::SourceList=/dev/null', '-o', `Dir::Etc::SourceParts=${parts}`],
    ...['-o', `Dir::State::Lists=${apt}/lists`, '-o', `Dir::Cache=${apt}/cache`, '-o', 'APT::Sandbox::User=root'],
  ];
  await once(apt, 'lists', async (folder) => {
    for (const made of [parts, path.join(folder, 'partial'), path.join(apt, 'cache/archives/partial')])
      fs.mkdirSync(made, { recursive: true });
    for (const file of fs.readdirSync(MACHINE_SOURCES)) {
      const text = fs.readFileSync(path.join(MACHINE_SOURCES, file), 'utf8');
      if (/\.(sources|list)$/.test(file))
        fs.writeFileSync(path.join(parts, file), text.replaceAll(/^(Types:\s*deb|deb)\b.*$/gm, asSource));
    }
    await mustRun('apt-get', [...options, 'update'], { cwd: apt });
    return folder;
  });
  return options;
}

/** A line of a source list, asking for sources. */
function asSource(line: string): string {
  return line.startsWith('Types:') ? 'Types: deb-src' : line.replace(/^deb\b/, 'deb-src');
}

const MACHINE_SOURCES = '/etc/apt/sources.list.d';
