import { createUses } from '../verdict/uses.ts';
import type { Analysis } from './analysis.ts';
import { nothingFound } from './analysis.ts';
import { walkExpression } from './expression.ts';
import { walkQuery } from './query.ts';
import { walkModify } from './writes.ts';

/** What a new analysis is told; the rest it gathers. */
export type AnalysisFacts = Pick<
  Analysis,
  | 'place'
  | 'catalog'
  | 'searchPath'
  | 'creationSchema'
  | 'created'
  | 'createdNames'
  | 'moved'
  | 'isOtherRole'
  | 'mayDefine'
  | 'customSettings'
  | 'bound'
  | 'taint'
  | 'reads'
  | 'trees'
>;

/** An analysis of one statement that has gathered nothing yet. */
export function createAnalysis(facts: AnalysisFacts): Analysis {
  return bind(facts, { uses: createUses(facts), questions: [], found: nothingFound(), certainCalls: new Set() });
}

type Gathered = Pick<Analysis, 'uses' | 'questions' | 'found' | 'certainCalls'>;

function bind(facts: AnalysisFacts, gathered: Gathered): Analysis {
  const analysis: Analysis = {
    ...facts,
    ...gathered,
    under: ({ path, creation, created = facts.created }) =>
      bind({ ...facts, searchPath: path, creationSchema: creation, created }, gathered),
    expression: (value, scope) => walkExpression(analysis, value, scope),
    query: (select, outer) => walkQuery(analysis, select, outer),
    modify: (kind, fields, outer) => walkModify(analysis, kind, fields, outer),
  };
  return analysis;
}
