package reload_test

import (
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/sematech/sema/hub/hubtest"
	"github.com/sematech/sema/modelstore"
	"github.com/sematech/sema/reload"
)

// logged returns the lines with a message, and has the options write to them.
func logged(o *reload.Options) (lines func(message string) []*logrus.Entry) {
	log, hook := logtest.NewNullLogger()
	o.Log = log
	return func(message string) []*logrus.Entry {
		var found []*logrus.Entry
		for _, line := range hook.AllEntries() {
			if line.Message == message {
				found = append(found, line)
			}
		}
		return found
	}
}

// lastEvent returns the newest event about a step of what a trigger began: the
// watch tells of the files that a download wrote whenever it comes to it.
func (r *rig) lastEvent(trigger, step string) (last modelstore.Event) {
	past, _, stop := r.Events(0)
	defer stop()
	for _, e := range past {
		if e.Trigger == trigger && e.Step == step {
			last = e
		}
	}
	return last
}

// TestGapIsTold: how long nothing served is in the event and the log, whoever
// asked and however it ended; and not where something always served.
func TestGapIsTold(t *testing.T) {
	h := hubtest.New(t)
	first := h.Commit(repo, "main", saying("Habari"))
	o := onHub(t, h)
	o.Replace = true
	lines := logged(&o)
	r := run(t, o)
	r.serves(first)
	r.until("the start is told", func() bool { return r.lastEvent("start", "done").Step == "done" })
	if e := r.lastEvent("start", "done"); e.Gap != 0 || len(lines("models_replaced")) != 0 {
		t.Errorf("the start: %+v", e)
	}
	h.Commit(repo, "main", saying("Salamu"))
	outcome := r.ask(modelstore.Request{Trigger: "poll"}, "swapped")
	if e := r.lastEvent("poll", "done"); e.Gap <= 0 || e.Gap != outcome.Gap {
		t.Errorf("the event %+v of %+v", e, outcome)
	}
	if all := lines("models_replaced"); len(all) != 1 || all[0].Data["gap_seconds"] != outcome.Gap || all[0].Data["model_version"] != outcome.Revision {
		t.Errorf("the log of %+v: %+v", outcome, all)
	}
	h.Commit(repo, "main", looping())
	outcome = r.ask(modelstore.Request{Trigger: "poll"}, "failed")
	if e := r.lastEvent("poll", "done"); e.Gap <= 0 || e.Gap != outcome.Gap {
		t.Errorf("the event %+v of %+v", e, outcome)
	}
	if all := lines("reload_failed"); len(all) != 1 || all[0].Data["gap_seconds"] != outcome.Gap {
		t.Errorf("the log of %+v: %+v", outcome, all)
	}
}

// TestDownloadIsLogged: one line at the start of a download and one every 10 s,
// not one for each piece that arrives.
func TestDownloadIsLogged(t *testing.T) {
	h := hubtest.New(t)
	first := h.Commit(repo, "main", saying("Habari"))
	o := onHub(t, h)
	lines := logged(&o)
	start := time.Now()
	r := run(t, o)
	r.serves(first)
	all := lines("download_progress")
	if len(all) < 1 || len(all) > 1+int(time.Since(start)/(10*time.Second)) {
		t.Fatalf("%d lines", len(all))
	}
	data := all[0].Data
	done, total := data["done_bytes"].(int64), data["total_bytes"].(int64)
	if data["source"] != repo || data["model_version"] != first || done <= 0 || done > total || data["percent"] != 100*done/total || all[0].Level != logrus.InfoLevel {
		t.Errorf("%v %v", all[0].Level, data)
	}
	r.ask(modelstore.Request{}, "unchanged")
	h.Commit(repo, "main", saying("Habari")) // another commit of files that are here
	r.ask(modelstore.Request{}, "swapped")
	if n := len(lines("download_progress")); n != len(all) {
		t.Errorf("%d lines, after a reload without a download", n)
	}
}
