// What can go wrong between a cart and its payment: `shop SCENARIO` ends as the scenario does.
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
)

// PaymentDeclined is an error of our own.
type PaymentDeclined struct{ Card int }

func (declined *PaymentDeclined) Error() string {
	return fmt.Sprintf("card %d declined by issuer (code 51)", declined.Card)
}

// Cart is what is paid for.
type Cart struct{ items []string }

// Charge is never inlined, so that its frame has arguments.
//
//go:noinline
func (cart *Cart) Charge(card int, note string) {
	panic(&PaymentDeclined{card})
}

// Each calls for every item.
//
//go:noinline
func (cart *Cart) Each(call func(item string)) {
	for _, item := range cart.items {
		call(item)
	}
}

//go:noinline
func checkout(cart Cart, card int) {
	cart.Charge(card, "first")
}

//go:noinline
func descend(depth int) int {
	if depth == 0 {
		panic(errors.New("no end in sight"))
	}
	return descend(depth-1) + 1
}

func stack() {
	os.Stdout.Write(debug.Stack())
}

var scenarios = map[string]func(){
	"simple": func() { checkout(Cart{}, 4000) },
	"closure": func() {
		cart := Cart{[]string{"book"}}
		cart.Each(func(item string) { cart.Charge(len(item), item) })
	},
	"index": func() {
		var items []int
		fmt.Println(items[len(os.Args)])
	},
	"nilMap": func() {
		var prices map[string]int
		prices["book"] = 1
	},
	"nilPointer": func() {
		var cart *Cart
		fmt.Println(cart.items)
	},
	"multiLine": func() { panic("Zahlung über 47,11 € abgelehnt 💥\n  Grund: 日本語\n\nBitte: noch einmal") },
	"value":     func() { panic(PaymentDeclined{7}) },
	"again": func() {
		defer func() {
			panic(fmt.Errorf("while cleaning up: %v", recover()))
		}()
		checkout(Cart{}, 1)
	},
	"nested": func() {
		defer func() { panic("second") }()
		panic("first")
	},
	"recursion": func() { descend(30) },
	"deep":      func() { descend(200) },
	"goroutine": func() {
		go checkout(Cart{}, 5)
		select {}
	},
	"deadlock": func() { select {} },
	"stack":    stack,
	"generic":  func() { first([]int{}) },
}

//go:noinline
func first[T any](items []T) T {
	return items[0]
}

func main() {
	scenarios[os.Args[1]]()
}
