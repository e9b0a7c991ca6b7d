import { type CustomSeriesOption, type EChartsOption, init } from 'echarts'
import type { Results } from '../results.ts'
import { figure } from './figures.ts'
import { type Bar, type Panel, type Picture, pictures } from './pictures.ts'

const WIDTH = 760
const PADDING = 20
const HEADING = 44
const ROW = 25
const GAP = 18

/** The width of the text right of the longest bar. */
const FIGURES = 175

// The chart has a light background of its own, so it looks the same on a light and on a dark page.
const CARD = '#f6f8fa'
const EDGE = '#d0d7de'
const TEXT = '#1f2328'
const MUTED = '#59636e'
const FONT = 'system-ui, Helvetica, Arial, sans-serif'

/** A panel with its position in the picture. */
interface Placed extends Panel {
  top: number
}

/** Renders the pictures of a run as SVG, by file name. The same results render the same bytes. */
export function renderCharts({ series }: Results): Map<string, string> {
  return new Map(pictures(series).map(picture => [picture.file, draw(picture)]))
}

function draw({ panels }: Picture): string {
  let top = PADDING
  const placed = panels.map(panel => {
    const here = { ...panel, top }
    top += HEADING + panel.bars.length * ROW + GAP
    return here
  })
  const height = top - GAP + PADDING
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height })
  try {
    chart.setOption(toOption(placed, height))
    return normalise(chart.renderToSVGString({ useViewBox: true }))
  } finally {
    chart.dispose()
  }
}

function toOption(panels: Placed[], height: number): EChartsOption {
  const labels = panels.flatMap(({ bars }) => bars.map(({ label }) => label.length))
  // All panels of a picture have the same left edge. It leaves enough space for a wide font.
  const left = PADDING + Math.max(...labels) * 7.6 + 10
  return {
    animation: false,
    textStyle: { fontFamily: FONT, color: TEXT },
    graphic: {
      type: 'rect',
      z: -1,
      silent: true,
      shape: { x: 0.5, y: 0.5, width: WIDTH - 1, height: height - 1, r: 12 },
      style: { fill: CARD, stroke: EDGE }
    },
    title: panels.map(({ title, note, top }) => ({
      text: title,
      subtext: note,
      left: PADDING,
      top,
      padding: 0,
      itemGap: 5,
      textStyle: { fontSize: 15, fontWeight: 'bold', color: TEXT },
      subtextStyle: { fontSize: 12, color: MUTED }
    })),
    grid: panels.map(({ top, bars }) => ({
      left,
      top: top + HEADING,
      width: WIDTH - FIGURES - left,
      height: bars.length * ROW
    })),
    xAxis: panels.map(({ bars }, gridIndex) => ({
      gridIndex,
      type: 'value',
      show: false,
      min: 0,
      max: Math.max(...bars.map(({ high }) => high))
    })),
    yAxis: panels.map(({ bars }, gridIndex) => ({
      gridIndex,
      type: 'category',
      inverse: true,
      silent: true,
      data: bars.map(({ label, ours }) => ({
        value: label,
        textStyle: { fontWeight: ours ? 'bold' : 'normal' }
      })),
      axisLine: { lineStyle: { color: EDGE } },
      axisTick: { show: false },
      axisLabel: { color: TEXT, fontSize: 12, interval: 0, margin: 10 }
    })),
    series: panels.flatMap(({ bars }, index) => [toBars(bars, index), toFigures(bars, index)])
  }
}

function toBars(bars: Bar[], index: number) {
  return {
    type: 'bar' as const,
    xAxisIndex: index,
    yAxisIndex: index,
    silent: true,
    barWidth: 15,
    data: bars.map(({ value, color }) => ({
      value,
      itemStyle: { color, borderRadius: [0, 3, 3, 0] }
    }))
  }
}

/** Draws the range of each bar, and its figures at the right end. */
function toFigures(bars: Bar[], index: number): CustomSeriesOption {
  return {
    type: 'custom',
    xAxisIndex: index,
    yAxisIndex: index,
    silent: true,
    clip: false,
    z: 3,
    data: bars.map((_, row) => [0, row]),
    renderItem: ({ dataIndex }, api) => {
      const { value, low, high, note } = bars[dataIndex] as Bar
      const [from = 0, y = 0] = api.coord([low, dataIndex])
      const [to = 0] = api.coord([high, dataIndex])
      const whisker = `M${from} ${y}H${to}M${from} ${y - 4}V${y + 4}M${to} ${y - 4}V${y + 4}`
      return {
        type: 'group',
        children: [
          ...(low < high
            ? [
                {
                  type: 'path' as const,
                  shape: { pathData: whisker },
                  style: { stroke: TEXT, lineWidth: 1.2, opacity: 0.75, fill: 'none' }
                }
              ]
            : []),
          // Two texts, because the width of the first one depends on the fonts of the reader.
          text(figure(value), { x: to + 9, y, fontSize: 13, fontWeight: 'bold', fill: TEXT }),
          text(note, { x: WIDTH - PADDING, y, fontSize: 12, fill: MUTED, align: 'right' })
        ]
      }
    }
  }
}

function text(content: string, style: Record<string, unknown>) {
  return {
    type: 'text' as const,
    style: { text: content, fontFamily: FONT, verticalAlign: 'middle' as const, ...style }
  }
}

/** Removes the parts that only a mouse pointer needs: names with a counter, and the style sheet for hovering. */
function normalise(svg: string): string {
  return `${svg
    .replace(/<style\b.*?<\/style>\n?/gs, '')
    .replace(/ (?:class|ecmeta_\w+|pointer-events)="[^"]*"/g, '')
    .trim()}\n`
}
