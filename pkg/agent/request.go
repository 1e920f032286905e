// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/census"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

// maxRecipients is far more than control-plane nodes that a cluster can have.
const maxRecipients = 32

// line is one line of the input, or why there is none.
type line struct {
	data []byte
	err  error
}

// errTooLong: the line was read to its end and not kept.
var errTooLong = errors.New("line too long")

// readLines reads lines ahead, so that waiting for one can be given up.
func readLines(ctx context.Context, in io.Reader) <-chan line {
	lines := make(chan line)
	go func() {
		r := bufio.NewReaderSize(in, 64<<10)
		for {
			data, err := readLine(r, agentapi.MaxLine)
			select {
			case <-ctx.Done():
				return
			case lines <- line{data: data, err: err}:
			}
			if err != nil && !errors.Is(err, errTooLong) {
				return
			}
		}
	}()
	return lines
}

// readLine reads one line of at most limit bytes, without its end. What follows the last line end counts as a line.
func readLine(r *bufio.Reader, limit int) ([]byte, error) {
	var data []byte
	tooLong := false
	for {
		part, err := r.ReadSlice('\n')
		content := bytes.TrimSuffix(part, []byte("\n"))
		if tooLong = tooLong || len(data)+len(content) > limit; tooLong {
			data = nil
		} else {
			data = append(data, content...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && (!errors.Is(err, io.EOF) || len(data) == 0 && !tooLong):
			return nil, err
		case tooLong:
			return nil, errTooLong
		}
		return data, nil
	}
}

var digestPattern = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// parseRequest reads a request strictly. The errors say nothing of the line itself: it is not ours.
func parseRequest(l line) (agentapi.Request, error) {
	if l.err != nil {
		return agentapi.Request{}, failf(agentapi.BadRequest, "the request is longer than %d bytes", agentapi.MaxLine)
	}
	var version struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(l.data, &version); err != nil {
		return agentapi.Request{}, failf(agentapi.BadRequest, "the request is not a line of JSON with a version")
	}
	if version.Version != agentapi.Version {
		return agentapi.Request{}, failf(agentapi.BadRequest,
			"the request has version %d, this agent understands version %d alone", version.Version, agentapi.Version)
	}
	dec := json.NewDecoder(bytes.NewReader(l.data))
	dec.DisallowUnknownFields()
	var req agentapi.Request
	if err := dec.Decode(&req); err != nil {
		return agentapi.Request{}, failf(agentapi.BadRequest, "the request has a field that this agent does not know or a value of the wrong type")
	}
	return req, checkRequest(req)
}

// part is what a request holds beside its operation, for the operations that need it.
type part struct {
	ops   []agentapi.Op
	there bool
	check func() error
}

func parts(req agentapi.Request) []part {
	alone := []agentapi.Op{agentapi.Inspect, agentapi.Probe}
	return []part{
		{ops: alone, there: slices.Contains(alone, req.Op), check: func() error { return nil }},
		partOf(req.Propose, checkProposal, agentapi.Propose),
		partOf(req.Install, checkInstallation, agentapi.Install),
		partOf(req.Forget, checkForgetting, agentapi.Forget),
		partOf(req.Export, checkExporting, agentapi.Export),
		partOf(req.Compose, checkComposition, agentapi.Compose),
		partOf(req.Edit, func(e agentapi.ManifestEdit) error { return checkManifestEdit(req.Op, e) }, agentapi.CheckEdit, agentapi.EditManifest),
		partOf(req.Count, checkCounting, agentapi.Count),
		partOf(req.Search, checkSearching, agentapi.Search),
	}
}

func partOf[T any](held *T, check func(T) error, ops ...agentapi.Op) part {
	return part{ops: ops, there: held != nil, check: func() error { return check(*held) }}
}

// checkRequest wants a known operation and exactly the part that it needs.
func checkRequest(req agentapi.Request) error {
	list := parts(req)
	at := slices.IndexFunc(list, func(p part) bool { return slices.Contains(p.ops, req.Op) })
	if at < 0 {
		return failf(agentapi.BadRequest, "the request asks for an unknown operation")
	}
	for i, p := range list {
		if p.there != (i == at) {
			return failf(agentapi.BadRequest, "the request does not hold exactly what its operation needs")
		}
	}
	return list[at].check()
}

func checkProposal(p agentapi.Proposal) error {
	if p.From != "" && !digestPattern.MatchString(p.From) {
		return failf(agentapi.BadRequest, "the proposal does not say which configuration it is for")
	}
	if len(p.Recipients) == 0 || len(p.Recipients) > maxRecipients {
		return failf(agentapi.BadRequest, "a proposal is for 1 to %d recipients, not %d", maxRecipients, len(p.Recipients))
	}
	for node := range p.Recipients {
		if !nodeName.MatchString(node) {
			return failf(agentapi.BadRequest, "a recipient is not the name of a node")
		}
	}
	return nil
}

// checkInstallation lets From be empty: then there must be no file.
func checkInstallation(i agentapi.Installation) error {
	if i.From != "" && !digestPattern.MatchString(i.From) || !digestPattern.MatchString(i.To) {
		return failf(agentapi.BadRequest, "the installation does not say which configuration replaces which")
	}
	return nil
}

// mostKeys is far more than the keys that a node can have.
const mostKeys = 1000

func checkExporting(e agentapi.Exporting) error {
	switch {
	case !nodeName.MatchString(e.Recipient):
		return failf(agentapi.BadRequest, "the recipient is not the name of a node")
	case len(e.Keys) == 0 || len(e.Keys) > mostKeys:
		return failf(agentapi.BadRequest, "1 to %d keys can be exported at once, not %d", mostKeys, len(e.Keys))
	}
	return nil
}

func checkComposition(c agentapi.Composition) error {
	if !digestPattern.MatchString(c.Base) {
		return failf(agentapi.BadRequest, "the composition does not say which configuration it begins with")
	}
	if len(c.Wanted) == 0 || len(c.Wanted) > maxRecipients || len(c.Exported) > maxRecipients {
		return failf(agentapi.BadRequest, "a composition is for 1 to %d nodes, not %d", maxRecipients, len(c.Wanted))
	}
	for _, w := range c.Wanted {
		if !nodeName.MatchString(w.Node) {
			return failf(agentapi.BadRequest, "a recipient is not the name of a node")
		}
		if w.From != "" && !digestPattern.MatchString(w.From) {
			return failf(agentapi.BadRequest, "the composition does not say what is replaced on node %s", w.Node)
		}
		if len(w.Rules) == 0 || slices.ContainsFunc(w.Rules, func(r encconfig.Rule) bool { return len(r.Keys) == 0 || len(r.Resources) == 0 }) {
			return failf(agentapi.BadRequest, "the composition does not say what node %s shall have", w.Node)
		}
	}
	return nil
}

// The bounds of the time that a kube-apiserver is given to become ready.
const (
	leastRollback = 10 * time.Second
	mostRollback  = time.Hour
)

// imageName is what an image can be called; it becomes a part of a manifest.
var imageName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,511}$`)

// checkManifestEdit lets Config be empty where nothing is edited: then the configuration need not be there yet.
func checkManifestEdit(op agentapi.Op, e agentapi.ManifestEdit) error {
	if !digestPattern.MatchString(e.From) {
		return failf(agentapi.BadRequest, "the edit does not say which manifest it is for")
	}
	if e.Config != "" && !digestPattern.MatchString(e.Config) {
		return failf(agentapi.BadRequest, "the edit does not say which configuration is to be read")
	}
	if op == agentapi.CheckEdit {
		return nil
	}
	switch {
	case e.File != "" && e.Config == "":
		return failf(agentapi.BadRequest, "the edit does not say which configuration is to be read")
	case e.RollbackAfter < leastRollback || e.RollbackAfter > mostRollback:
		return failf(agentapi.BadRequest, "the kube-apiserver must be given between %s and %s to be ready", leastRollback, mostRollback)
	case !imageName.MatchString(e.Image):
		return failf(agentapi.BadRequest, "the edit does not name the image of the guard")
	}
	return nil
}

// checkCounting lets Config be empty: then there is none.
func checkCounting(c agentapi.Counting) error {
	switch {
	case c.Config != "" && !digestPattern.MatchString(c.Config):
		return failf(agentapi.BadRequest, "the count does not say by which configuration")
	case c.Decrypt && c.Config == "":
		return failf(agentapi.BadRequest, "without a configuration there is no key to decrypt with")
	case c.Revision < 0 || c.Within < 0 || c.Within > agentapi.MaxWithin || c.Names < census.AllNames:
		return failf(agentapi.BadRequest, "the count has a number that can't be")
	}
	return nil
}

// checkSearching lets everything but the position be what it is: it names no file that is opened unseen.
func checkSearching(s agentapi.Searching) error {
	at := s.From
	known := at == agentapi.Position{} || (at.Folder == agentapi.SnapFolder || at.Folder == agentapi.WALFolder) && at.Name != ""
	if !known || at.Offset < 0 || s.Compacted < 0 || s.Within < 0 || s.Within > agentapi.MaxWithin {
		return failf(agentapi.BadRequest, "the search has a number or a place that can't be")
	}
	return nil
}

// encode writes a response as one line. One that the other side would not read is replaced by an error.
func encode(resp agentapi.Response) []byte {
	data, err := json.Marshal(resp)
	if err == nil && len(data) <= agentapi.MaxLine {
		return append(data, '\n')
	}
	message := fmt.Sprintf("the answer has %d bytes, at most %d can be sent", len(data), agentapi.MaxLine)
	if err != nil {
		message = "the answer can't be encoded"
	}
	resp = agentapi.Response{
		Version: resp.Version, Op: resp.Op, Node: resp.Node, Run: resp.Run,
		Error: &agentapi.Error{Code: agentapi.BadRequest, Message: message},
	}
	data, _ = json.Marshal(resp) // strings and numbers alone
	return append(data, '\n')
}
