package handlers

import (
	"errors"
	"io"

	"github.com/sematech/sema/modelstore"
)

// FromStore serves the bundles of a model store. others, if not nil, describes models that are not in the store, such
// as one that is being loaded.
func FromStore[T interface {
	Translator
	io.Closer
}](store *modelstore.Store[T], others func() []ModelStatus) Models {
	return stored[T]{store, others}
}

// stored is a model store as Models.
type stored[T interface {
	Translator
	io.Closer
}] struct {
	store  *modelstore.Store[T]
	others func() []ModelStatus
}

// Acquire implements Models.
func (s stored[T]) Acquire() (Model, func(), error) {
	bundle, err := s.store.Acquire()
	if errors.Is(err, modelstore.ErrEmpty) {
		return Model{}, nil, ErrNoModel
	}
	if err != nil {
		return Model{}, nil, err
	}
	return Model{Translator: bundle.Models, Version: bundle.Revision}, func() { _ = bundle.Release() }, nil
}

// References is how many requests hold the serving model.
func (s stored[T]) References() int64 {
	if current := s.store.Current(); current != nil {
		return current.References()
	}
	return 0
}

// Status implements Models.
func (s stored[T]) Status() []ModelStatus {
	var models []ModelStatus
	if current := s.store.Current(); current != nil {
		models = append(models, statusOf(current))
	}
	for _, bundle := range s.store.Retiring() {
		models = append(models, statusOf(bundle))
	}
	if s.others != nil {
		models = append(models, s.others()...)
	}
	return models
}

func statusOf[T io.Closer](b *modelstore.Bundle[T]) ModelStatus {
	return ModelStatus{Name: b.Source, Revision: b.Revision, State: string(b.State()), LoadedAt: b.LoadedAt.UTC()}
}
