/** Renders a Markdown table. The first `left` columns have words, and the other columns have figures. */
export function markdownTable(heads: string[], rows: string[][], left = 1): string {
  const line = (cells: string[]) => `| ${cells.join(' | ')} |`
  const rule = heads.map((_, column) => (column < left ? '---' : '---:'))
  return [line(heads), line(rule), ...rows.map(line)].join('\n')
}
