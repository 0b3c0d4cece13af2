import { type ComponentPropsWithRef, type ReactNode, useEffect, useId, useRef, useState } from 'react';
import { Button } from './button.tsx';
import { useShortcut } from './shortcuts.ts';

const BOX =
  'min-h-8 w-full rounded-md border border-edge/60 bg-surface px-2 py-1 text-sm text-ink placeholder:text-soft';

/** A field with its name above and a hint below. */
export function Field({
  label,
  hint,
  children,
}: {
  readonly label: string;
  readonly hint?: ReactNode;
  readonly children: (id: string) => ReactNode;
}) {
  const id = useId();
  return (
    <div className="flex min-w-0 flex-col gap-1">
      <label htmlFor={id} className="text-xs font-medium text-soft">
        {label}
      </label>
      {children(id)}
      {hint === undefined ? null : <p className="text-xs text-soft">{hint}</p>}
    </div>
  );
}

export function TextField({
  label,
  hint,
  ...props
}: ComponentPropsWithRef<'input'> & { readonly label: string; readonly hint?: ReactNode }) {
  return (
    <Field label={label} hint={hint}>
      {(id) => <input id={id} type="text" autoComplete="off" spellCheck={false} {...props} className={BOX} />}
    </Field>
  );
}

export function TextAreaField({
  label,
  hint,
  ...props
}: ComponentPropsWithRef<'textarea'> & { readonly label: string; readonly hint?: ReactNode }) {
  return (
    <Field label={label} hint={hint}>
      {(id) => <textarea id={id} rows={3} spellCheck={false} {...props} className={`${BOX} font-mono`} />}
    </Field>
  );
}

export function SelectField({
  label,
  options,
  ...props
}: ComponentPropsWithRef<'select'> & {
  readonly label: string;
  readonly options: readonly (readonly [value: string, word: string])[];
}) {
  return (
    <Field label={label}>
      {(id) => (
        <select id={id} {...props} className={BOX}>
          {options.map(([value, word]) => (
            <option key={value} value={value}>
              {word}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

export interface FilterField {
  readonly name: string;
  readonly label: string;
  readonly placeholder?: string;
  /** Chosen of these, in place of typed. */
  readonly options?: readonly (readonly [value: string, word: string])[];
}

/** The filters of a list, as its address has them. They hold once Enter is pressed or the field is left: nothing is asked at each letter. `/` leads here. */
export function FilterBar({
  fields,
  values,
  onChange,
  children,
}: {
  readonly fields: readonly FilterField[];
  readonly values: Readonly<Record<string, string | undefined>>;
  readonly onChange: (change: Readonly<Record<string, string | undefined>>) => void;
  readonly children?: ReactNode;
}) {
  const form = useRef<HTMLFormElement>(null);
  useShortcut('/', 'Filter this list', () => form.current?.querySelector<HTMLElement>('input, select')?.focus());
  const isSet = fields.some(({ name }) => values[name] !== undefined);
  return (
    <form
      ref={form}
      role="search"
      aria-label="Filters"
      onSubmit={(event) => event.preventDefault()}
      className="grid grid-cols-[repeat(auto-fill,minmax(min(9.5rem,100%),1fr))] items-end gap-2 pb-3"
    >
      {fields.map((field) =>
        field.options === undefined ? (
          <TypedFilter key={field.name} field={field} value={values[field.name] ?? ''} onChange={onChange} />
        ) : (
          <SelectField
            key={field.name}
            label={field.label}
            value={values[field.name] ?? ''}
            options={[['', 'any'], ...field.options]}
            onChange={(event) => onChange({ [field.name]: event.target.value })}
          />
        ),
      )}
      {children}
      <div>
        <Button
          kind="quiet"
          disabled={!isSet}
          onClick={() => onChange(Object.fromEntries(fields.map(({ name }) => [name, undefined])))}
        >
          Clear filters
        </Button>
      </div>
    </form>
  );
}

function TypedFilter({
  field: { name, label, placeholder },
  value,
  onChange,
}: {
  readonly field: FilterField;
  readonly value: string;
  readonly onChange: (change: Readonly<Record<string, string | undefined>>) => void;
}) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  const settle = () => {
    const trimmed = text.trim();
    if (trimmed !== value) onChange({ [name]: trimmed });
  };
  return (
    <TextField
      label={label}
      value={text}
      placeholder={placeholder}
      onChange={(event) => setText(event.target.value)}
      onBlur={settle}
      onKeyDown={(event) => {
        if (event.key === 'Enter') settle();
        if (event.key === 'Escape') setText(value);
      }}
    />
  );
}
