package plugin

import (
	"github.com/agentarea/agentarea/sdk"
	basev1 "github.com/agentarea/agentarea/sdk/proto/base/v1"
)

func fromBlock(b sdk.Block) *basev1.BlockSchema {
	out := &basev1.BlockSchema{}
	for _, a := range b.Attributes {
		out.Attributes = append(out.Attributes, &basev1.Attribute{
			Name: a.Name, Type: a.Type, Required: a.Required, Secret: a.Secret,
			Description: a.Description, DefaultJson: a.Default,
		})
	}
	for _, n := range b.Blocks {
		out.Blocks = append(out.Blocks, &basev1.NestedBlock{
			Name: n.Name, Schema: fromBlock(n.Block), Description: n.Description,
			MinItems: uint32(n.Min), MaxItems: uint32(n.Max), //nolint:gosec // 0 or 1, from SchemaOf
		})
	}
	return out
}

func toBlock(b *basev1.BlockSchema) sdk.Block {
	var out sdk.Block
	for _, a := range b.GetAttributes() {
		out.Attributes = append(out.Attributes, sdk.Attribute{
			Name: a.GetName(), Type: a.GetType(), Required: a.GetRequired(), Secret: a.GetSecret(),
			Description: a.GetDescription(), Default: a.GetDefaultJson(),
		})
	}
	for _, n := range b.GetBlocks() {
		out.Blocks = append(out.Blocks, sdk.NestedBlock{
			Name: n.GetName(), Block: toBlock(n.GetSchema()), Description: n.GetDescription(),
			Min: int(n.GetMinItems()), Max: int(n.GetMaxItems()),
		})
	}
	return out
}
