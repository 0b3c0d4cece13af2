import { createSetting } from './setting.ts';

export type Theme = 'system' | 'light' | 'dark';

/** Light or dark, or as the system has it. */
export const theme = createSetting<Theme>('theme', ['system', 'light', 'dark'], () => applyTheme());

/** Has the page look so. */
export function applyTheme(): void {
  const { dataset } = document.documentElement;
  if (theme.value() === 'system') delete dataset['theme'];
  else dataset['theme'] = theme.value();
}
