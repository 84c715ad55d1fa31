package main

import (
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"carillon/launch"
)

// drawLoss draws the losses of a metrics file as an SVG.
func drawLoss(path, metrics string) error {
	steps, err := launch.Metrics(metrics)
	if err != nil {
		return err
	}
	var trained, heldOut plotter.XYs
	for _, m := range steps {
		trained = append(trained, plotter.XY{X: float64(m.Step), Y: m.Loss})
		if m.EvalLoss != nil {
			heldOut = append(heldOut, plotter.XY{X: float64(m.Step), Y: *m.EvalLoss})
		}
	}
	p := plot.New()
	p.X.Label.Text, p.Y.Label.Text = "step", "loss, nats per token"
	line, err := plotter.NewLine(trained)
	if err != nil {
		return err
	}
	p.Add(line, plotter.NewGrid())
	p.Legend.Add("training", line)
	if len(heldOut) > 0 {
		dots, err := plotter.NewScatter(heldOut)
		if err != nil {
			return err
		}
		p.Add(dots)
		p.Legend.Add("held out", dots)
	}
	p.Legend.Top = true
	return p.Save(16*vg.Centimeter, 10*vg.Centimeter, path)
}
