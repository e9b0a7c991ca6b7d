/** Renders a Markdown table. Its first columns, `left` of them, hold words; the others hold figures. */
export function markdownTable(heads: string[], rows: string[][], left = 1): string {
  const line = (cells: string[]) => `| ${cells.join(' | ')} |`
  const rule = heads.map((_, column) => (column < left ? '---' : '---:'))
  return [line(heads), line(rule), ...rows.map(line)].join('\n')
}
