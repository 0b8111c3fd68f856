// Package userdata deletes users with everything that is stored about them, and exports it.
package userdata
