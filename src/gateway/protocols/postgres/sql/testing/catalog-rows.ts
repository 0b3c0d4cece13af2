/** Answers to the catalog queries as a small database would give them, for tests without a server. */
type Rows = readonly (readonly (string | null)[])[];

export function catalogRows(): Map<string, Rows> {
  return new Map<string, Rows>([
    ['settings', [['shop', '"$user", public', '["public"]', 'on', '180000', 'true']]],
    [
      'relations',
      [
        ['1259', 'pg_catalog', 'pg_class', 'r', 'false'],
        ['1260', 'pg_catalog', 'pg_authid', 'r', 'false'],
        ['20001', 'public', 'customers', 'r', 'false'],
        ['20002', 'public', 'orders', 'r', 'false'],
        ['20003', 'public', 'customer_all', 'v', 'false'],
      ],
    ],
    [
      'columns',
      [
        ['20001', '1', 'id', null],
        ['20001', '2', 'name', null],
        ['20001', '3', 'ssn', null],
        ['20002', '1', 'id', null],
        ['20002', '2', 'note', null],
        ['20003', '1', 'id', null],
        ['20003', '2', 'tax_number', null],
      ],
    ],
    [
      'dependencies',
      [
        ['20003', '20001', 'id'],
        ['20003', '20001', 'ssn'],
      ],
    ],
    ['definitions', [['20003', 'select id, ssn as tax_number from customers']]],
    ['inheritance', []],
    ['foreign-keys', []],
    ['functions', [['public', 'leak', 'f', 'sql', '0', '0', 'false', null]]],
    ['operators', []],
    ['casts', []],
    [
      'builtin-functions',
      [
        ['lower', 'i'],
        ['upper', 'i'],
        ['now', 's'],
        ['random', 'v'],
        ['count', 'i'],
        ['set_config', 'v'],
        ['pg_read_file', 'v'],
      ],
    ],
    ['builtin-types', [['text'], ['int4']]],
  ]);
}

/** A decider that permits everything; with masks on `customers.ssn`. */
export const maskingPolicies = `
@id("all") permit (principal, action, resource);
@id("mask") @mask("customers.ssn:redact") permit (principal, action == Action::"postgres:select", resource);
`;
