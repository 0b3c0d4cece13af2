/**
 * The statements that no walk of their own knows, by node kind. What isn't here and isn't walked is refused.
 *
 * `ddl` asks `postgres:ddl` on every relation named, else on the database. `shape`: while masks are in force it may stay, as long as it
 * names no masked relation; `code`: it makes something run that can't be seen, or
 * on values that can't be, so it is refused then. `admin` asks `postgres:admin`.
 */
export const statementClasses: ReadonlyMap<string, StatementClass> = new Map<string, StatementClass>([
  ...classify({ action: 'ddl', masked: 'shape' }, [
    ...['AlterCollationStmt', 'AlterEnumStmt', 'AlterSeqStmt', 'AlterStatsStmt', 'AlterTableStmt'],
    ...['AlterTypeStmt', 'CommentStmt', 'CompositeTypeStmt', 'CreateDomainStmt', 'CreateEnumStmt'],
    ...['CreateSchemaStmt', 'CreateSeqStmt', 'CreateStatsStmt', 'CreateStmt', 'DropStmt', 'IndexStmt'],
  ]),
  ...classify({ action: 'ddl', masked: 'code' }, [
    // A constraint of a domain is tried on all values there are, of any table.
    'AlterDomainStmt',
    'CreateRangeStmt',
    ...[
      'AlterFunctionStmt',
      'AlterObjectDependsStmt',
      'AlterObjectSchemaStmt',
      'AlterOpFamilyStmt',
      'AlterOperatorStmt',
    ],
    ...[
      'AlterPolicyStmt',
      'AlterTSConfigurationStmt',
      'AlterTSDictionaryStmt',
      'CreateCastStmt',
      'CreateConversionStmt',
    ],
    ...['CreateFunctionStmt', 'CreateOpClassStmt', 'CreateOpFamilyStmt', 'CreatePolicyStmt', 'CreateTransformStmt'],
    ...['CreateTrigStmt', 'DefineStmt', 'RenameStmt', 'RuleStmt'],
  ]),
  ...classify({ action: 'admin', masked: 'code' }, [
    ...['AlterDatabaseRefreshCollStmt', 'AlterDatabaseSetStmt', 'AlterDatabaseStmt', 'AlterDefaultPrivilegesStmt'],
    ...[
      'AlterEventTrigStmt',
      'AlterExtensionContentsStmt',
      'AlterExtensionStmt',
      'AlterFdwStmt',
      'AlterForeignServerStmt',
    ],
    ...['AlterOwnerStmt', 'AlterPublicationStmt', 'AlterRoleSetStmt', 'AlterRoleStmt', 'AlterTableMoveAllStmt'],
    ...['AlterTableSpaceOptionsStmt', 'AlterUserMappingStmt', 'CheckPointStmt', 'CreateAmStmt', 'CreateEventTrigStmt'],
    ...['CreateExtensionStmt', 'CreateFdwStmt', 'CreateForeignServerStmt', 'CreateForeignTableStmt', 'CreatePLangStmt'],
    ...['CreatePublicationStmt', 'CreateRoleStmt', 'CreateTableSpaceStmt', 'CreateUserMappingStmt', 'CreatedbStmt'],
    ...['DropOwnedStmt', 'DropRoleStmt', 'DropTableSpaceStmt', 'DropUserMappingStmt', 'DropdbStmt', 'GrantRoleStmt'],
    ...['GrantStmt', 'ImportForeignSchemaStmt', 'ReassignOwnedStmt', 'SecLabelStmt'],
    ...['AlterSubscriptionStmt', 'AlterSystemStmt', 'CreateSubscriptionStmt', 'DropSubscriptionStmt', 'LoadStmt'],
  ]),
]);

export interface StatementClass {
  readonly action: 'ddl' | 'admin';
  readonly masked: 'shape' | 'code';
}

/** `AlterTableStmt` → `alter table`: for people, so a few read better than their node. */
export function kindName(node: string): string {
  const special = spelled.get(node);
  if (special !== undefined) return special;
  const words = node.replace(/Stmt$/, '').replace(/([a-z])([A-Z])/g, '$1 $2');
  return words.toLowerCase();
}

const spelled: ReadonlyMap<string, string> = new Map([
  ['CreateStmt', 'create table'],
  ['CreateTableAsStmt', 'create table as'],
  ['ViewStmt', 'create view'],
  ['IndexStmt', 'create index'],
  ['RuleStmt', 'create rule'],
  ['DefineStmt', 'create'],
  ['RenameStmt', 'alter rename'],
  ['CreateTrigStmt', 'create trigger'],
  ['CreateSeqStmt', 'create sequence'],
  ['AlterSeqStmt', 'alter sequence'],
  ['CreatedbStmt', 'create database'],
  ['DropdbStmt', 'drop database'],
  ['CreatePLangStmt', 'create language'],
  ['RefreshMatViewStmt', 'refresh materialized view'],
  ['VariableSetStmt', 'set'],
  ['VariableShowStmt', 'show'],
  ['DeclareCursorStmt', 'declare cursor'],
  ['ClosePortalStmt', 'close'],
  ['ConstraintsSetStmt', 'set constraints'],
  ['CheckPointStmt', 'checkpoint'],
  ['SecLabelStmt', 'security label'],
]);

function classify(value: StatementClass, kinds: readonly string[]): readonly (readonly [string, StatementClass])[] {
  return kinds.map((kind) => [kind, value] as const);
}
